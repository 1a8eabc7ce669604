import { EmbedError } from '../diagnostics/error.js';
import { type Architecture, architectures } from './architectures.js';
import { readAttentionWindow } from './attention-window.js';
import type { LlamaConfig } from './config.js';
import { familyReaders } from './family-readers.js';
import { limits, requireConsistentSizes } from './limits.js';
import type { BiasDemand } from './llama-tensors.js';
import { readRopeSettings } from './rope-settings.js';
import type { Settings } from './settings.js';
import { refuseUnsupportedSettings } from './unsupported-settings.js';

export interface HuggingFaceModel {
  readonly config: LlamaConfig;
  readonly biases: BiasDemand;
}

/**
 * The decoder of the llama family that a config.json describes, with the defaults of transformers where it has them. The end ids
 * of generation_config.json, if there is one, are honoured together with those of config.json.
 *
 * Throws EM1005 (key missing), EM1006 (value out of range), EM1007 (architecture), EM1008 (arithmetic not
 * done).
 */
export function readHuggingFaceConfig(config: Settings, generation: Settings | null): HuggingFaceModel {
  const architecture = readArchitecture(config);
  refuseUnsupportedSettings(config, architecture);
  const hiddenSize = config.integer('hidden_size', 1, limits.hiddenSize);
  const heads = config.integer('num_attention_heads', 1, limits.heads);
  const layers = config.integer('num_hidden_layers', 1, limits.layers);
  const vocabSize = config.integer('vocab_size', 1, limits.vocabSize);
  // A model may be trained on more positions than are ever kept here.
  const trainedContext = config.integer('max_position_embeddings', 1, Number.MAX_SAFE_INTEGER);
  const contextLength = Math.min(trainedContext, limits.contextLength);
  const window = readAttentionWindow(config, architecture, layers);
  const decoder: LlamaConfig = {
    family: 'llama',
    architecture: architecture.name,
    vocabSize,
    hiddenSize,
    intermediateSize: config.integer('intermediate_size', 1, limits.intermediateSize),
    layers,
    heads,
    kvHeads: readKvHeads(config, architecture, heads),
    headDim: readHeadDim(config, architecture, hiddenSize, heads),
    contextLength,
    normEpsilon: config.number('rms_norm_eps', Number.MIN_VALUE, 1),
    ...readRopeSettings(config),
    slidingWindow: window !== null && window < contextLength ? window : null,
    qkNorm: architecture.qkNorm,
    tiedEmbedding: config.boolean('tie_word_embeddings') ?? false,
    bosId: readBosId(config, vocabSize),
    eosIds: readEosIds(config, generation, vocabSize),
  };
  requireConsistentSizes(config.where, decoder);
  return { config: decoder, biases: readBiases(config, architecture) };
}

function readArchitecture(config: Settings): Architecture {
  const families = familyReaders.flatMap((reader) => reader.architectures);
  const supported = [...architectures.map(({ name }) => name), ...families].join(', ');
  const unsupported = (key: string) =>
    new EmbedError('EM1007', {
      where: config.where,
      why: `${key} is ${JSON.stringify(config.get(key)).slice(0, 200)}; supported: ${supported}`,
      fix: `use a model of one of: ${supported}`,
    });
  if (!config.has('architectures')) {
    // Families outside transformers have a model_type alone.
    const known = architectures.some(({ modelType }) => modelType === config.get('model_type'));
    if (config.has('model_type') && !known) throw unsupported('model_type');
    const why = `architectures is missing; supported: ${supported}`;
    throw new EmbedError('EM1005', { where: config.where, why });
  }
  const names = config.get('architectures');
  const architecture = architectures.find(
    ({ name }) => Array.isArray(names) && names.length === 1 && names[0] === name,
  );
  if (!architecture) throw unsupported('architectures');
  // transformers goes by model_type, so a differing one would mean another model than architectures says.
  if (config.has('model_type') && config.get('model_type') !== architecture.modelType) {
    throw config.unusable('model_type', `"${architecture.modelType}" beside ${architecture.name}`);
  }
  return architecture;
}

function readKvHeads(config: Settings, architecture: Architecture, heads: number): number {
  const absent = config.get('num_key_value_heads') === undefined;
  const sameAsHeads = absent ? architecture.kvHeadsOptional : !config.has('num_key_value_heads');
  return sameAsHeads ? heads : config.integer('num_key_value_heads', 1, limits.heads);
}

function readHeadDim(
  config: Settings,
  architecture: Architecture,
  hiddenSize: number,
  heads: number,
): number {
  if (config.has('head_dim')) return config.integer('head_dim', 2, limits.headDim);
  if (architecture.defaultHeadDim !== 'hidden/heads') return architecture.defaultHeadDim;
  if (hiddenSize % heads !== 0) {
    throw config.unusable(
      'num_attention_heads',
      `a divisor of hidden_size (${hiddenSize}), or head_dim beside it`,
    );
  }
  return hiddenSize / heads;
}

function readBosId(config: Settings, vocabSize: number): number | null {
  const ids = config.tokenIds('bos_token_id', vocabSize);
  if (ids.length > 1) throw config.unusable('bos_token_id', 'one token id');
  return ids[0] ?? null;
}

function readEosIds(config: Settings, generation: Settings | null, vocabSize: number): number[] {
  const own = config.tokenIds('eos_token_id', vocabSize);
  return [...new Set([...own, ...(generation?.tokenIds('eos_token_id', vocabSize) ?? [])])];
}

function readBiases(config: Settings, architecture: Architecture): BiasDemand {
  const demand = (key: 'attention_bias' | 'mlp_bias') => {
    const value = architecture.biasSettings.includes(key) ? config.boolean(key) : null;
    if (value === null) return 'optional';
    return value ? 'required' : 'forbidden';
  };
  const attention = demand('attention_bias');
  return { qkv: architecture.qkvBias ? 'required' : attention, o: attention, mlp: demand('mlp_bias') };
}
