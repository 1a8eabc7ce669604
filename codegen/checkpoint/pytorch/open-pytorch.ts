import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { EmbedError } from '../../diagnostics/error.js';
import { assembleCheckpoint } from '../assemble-checkpoint.js';
import type { Checkpoint } from '../checkpoint.js';
import { FileSet } from '../file-set.js';
import { type JsonObject, readJsonObject } from '../json-object.js';
import { Settings } from '../settings.js';
import { crystalSettings } from './crystal-settings.js';
import { fromLlamaNames } from './llama-names.js';
import { PickleDict } from './pickle-values.js';
import { readPytorchFile } from './read-pytorch-file.js';

const mostConfigBytes = 4 << 20;

/** Keys under which training scripts keep the sizes of a model, in the order tried. */
const settingKeys = ['model_args', 'config', 'model_config', 'hparams', 'hyper_parameters'];

/**
 * Opens a single file of torch.save. The sizes of the model stand in the file (nanoGPT, llama2.c, the crystals and
 * their kin save them under model_args or config), else in a config.json beside it. Throws what readPytorchFile and
 * assembleCheckpoint throw, and EM1033 where nothing says what the model is.
 */
export function openPytorch(path: string): Checkpoint {
  return FileSet.build((files) => {
    const { root, tensors } = readPytorchFile(files.open(path));
    const own = ownSettings(root);
    const beside = join(dirname(path), 'config.json');
    if (own === null && !existsSync(beside)) {
      const why = `holds no ${settingKeys.join(', ')}, and there is no config.json beside it`;
      throw new EmbedError('EM1033', { where: path, why });
    }
    const described =
      own === null
        ? { settings: readJsonObject(files.open(beside), mostConfigBytes), tensors }
        : (fromLlamaNames(own, tensors) ?? { settings: crystalSettings(own, tensors) ?? own, tensors });
    return assembleCheckpoint({
      path,
      format: 'pytorch',
      formatText: own === null ? 'PyTorch file, with the config.json beside it' : 'PyTorch file',
      settings: new Settings(own === null ? beside : path, described.settings),
      generation: null,
      entries: described.tensors,
      files,
    });
  });
}

function ownSettings(root: PickleDict): JsonObject | null {
  for (const key of settingKeys) {
    const value = root.get(key);
    if (!(value instanceof PickleDict)) continue;
    const plain = [...value.named()].filter(([, entry]) => isPlain(entry));
    // Not every config is that of the model: nanoGPT keeps one of the training as well.
    if (plain.some(([name]) => /^(vocab_size|n_layers?|dim|hidden_size)$/.test(name))) {
      return Object.fromEntries(plain);
    }
  }
  return null;
}

function isPlain(value: unknown): boolean {
  return value === null || ['string', 'number', 'boolean'].includes(typeof value);
}
