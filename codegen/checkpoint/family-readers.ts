/** The families whose checkpoints are read by binding tensors of a file to the names of a graph. */
import type { DecoderConfig } from './config.js';
import { crystalNames, isCrystalConfig, readCrystalConfig } from './crystal-config.js';
import { bindCrystalTensors } from './crystal-tensors.js';
import { isGpt2Config, readGpt2Config } from './gpt2-config.js';
import { bindGpt2Tensors } from './gpt2-tensors.js';
import type { Settings } from './settings.js';
import type { TensorSource } from './tensor-source.js';
import type { TensorView } from './tensor-view.js';

export interface FamilyReader<C extends DecoderConfig> {
  readonly family: C['family'];
  /** How config.json calls such models, for messages. */
  readonly architectures: readonly string[];
  /** Whether a config.json is of this family. */
  recognizes(config: Settings): boolean;
  /** The decoder it describes. Throws EM1005, EM1006, EM1008. */
  read(config: Settings, generation: Settings | null): C;
  /** The tensors by the names that the family's graph uses. Throws EM1008, EM1015, EM1016, EM1019. */
  bind(source: TensorSource, config: C): Map<string, TensorView>;
}

const readers: {
  readonly [F in Exclude<DecoderConfig['family'], 'llama'>]: FamilyReader<
    Extract<DecoderConfig, { family: F }>
  >;
} = {
  gpt2: {
    family: 'gpt2',
    architectures: ['GPT2LMHeadModel'],
    recognizes: isGpt2Config,
    read: readGpt2Config,
    bind: bindGpt2Tensors,
  },
  crystal: {
    family: 'crystal',
    architectures: crystalNames,
    recognizes: isCrystalConfig,
    read: readCrystalConfig,
    bind: bindCrystalTensors,
  },
};

export const familyReaders = Object.values(readers) as readonly FamilyReader<DecoderConfig>[];
