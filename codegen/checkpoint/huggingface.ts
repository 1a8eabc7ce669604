import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { EmbedError } from '../diagnostics/error.js';
import { BoundedFile } from './bounded-file.js';
import type { Checkpoint } from './checkpoint.js';
import type { DecoderConfig } from './config.js';
import { type FamilyReader, familyReaders } from './family-readers.js';
import { FileCheckpoint } from './file-checkpoint.js';
import { FileSet } from './file-set.js';
import { elementBytes } from './float-decoding.js';
import { readHuggingFaceConfig } from './huggingface-config.js';
import { readJsonObject } from './json-object.js';
import { llamaTensors, type TensorDemand } from './llama-tensors.js';
import { type SafetensorsEntry, showShape } from './safetensors.js';
import { readSafetensorsFolder } from './safetensors-shards.js';
import { safetensorsSource } from './safetensors-source.js';
import { Settings } from './settings.js';
import { readStoredRows, rowsAndColumns, type StoredTensor } from './stored-tensor.js';
import { isTensorDtype } from './tensor-source.js';
import { ViewedCheckpoint } from './tensor-view.js';

const mostConfigBytes = 4 << 20;
const comparedElements = 1 << 18;

/**
 * Opens a Hugging Face folder: config.json, model.safetensors or its shards, generation_config.json where
 * there is one. Every tensor the config demands is located and its shape and type checked; of the weights
 * nothing is read, except where a tied model also brings lm_head.weight, which must then equal the embedding.
 * Throws EM1001 to EM1017 and EM1019.
 */
export function openHuggingFace(folder: string): Checkpoint {
  const configPath = join(folder, 'config.json');
  if (!existsSync(configPath)) throw new EmbedError('EM1003', { where: folder, why: 'has no config.json' });
  return FileSet.build((files) => {
    const settings = new Settings(configPath, readJsonObject(files.open(configPath), mostConfigBytes));
    const family = familyReaders.find((reader) => reader.recognizes(settings));
    if (family !== undefined) return openFamily(folder, family, settings, files);
    const { config, biases } = readHuggingFaceConfig(settings, readGenerationConfig(folder));
    const entries = readSafetensorsFolder(folder, files);
    const demands = llamaTensors(config, biases);
    const stored = locateTensors(folder, demands, entries);
    refuseUnknownBiases(folder, config, demands, entries);
    if (config.tiedEmbedding) requireTiedHead(folder, stored, entries);
    return new FileCheckpoint(folder, 'huggingface', config, stored, files);
  });
}

/** A checkpoint of a family that binds tensors to the names of its graph. */
function openFamily(
  folder: string,
  family: FamilyReader<DecoderConfig>,
  settings: Settings,
  files: FileSet,
): Checkpoint {
  const config = family.read(settings, readGenerationConfig(folder));
  const source = safetensorsSource(folder, readSafetensorsFolder(folder, files));
  const views = family.bind(source, config);
  return new ViewedCheckpoint(folder, basename(resolve(folder)), 'huggingface', config, source, views, files);
}

/** Not part of the model's hash: it says when to stop, not what to compute. */
function readGenerationConfig(folder: string): Settings | null {
  const path = join(folder, 'generation_config.json');
  if (!existsSync(path)) return null;
  const file = BoundedFile.open(path);
  try {
    return new Settings(path, readJsonObject(file, mostConfigBytes));
  } finally {
    file.close();
  }
}

function locateTensors(
  folder: string,
  demands: readonly TensorDemand[],
  entries: ReadonlyMap<string, SafetensorsEntry>,
): Map<string, StoredTensor> {
  const stored = new Map<string, StoredTensor>();
  for (const { name, shape, presence } of demands) {
    const entry = entries.get(name);
    if (entry === undefined) {
      if (presence !== 'required') continue;
      throw missingTensor(folder, name, shape);
    }
    if (presence === 'forbidden') {
      const why = `${name} is there, but config.json says that the model has no such bias`;
      throw new EmbedError('EM1019', { where: entry.file.path, why });
    }
    stored.set(name, storedTensor(entry, shape));
  }
  return stored;
}

function missingTensor(folder: string, name: string, shape: readonly number[]): EmbedError {
  const why = `${name} ${showShape(shape)} is in none of the weight files`;
  if (name !== 'lm_head.weight') return new EmbedError('EM1015', { where: folder, why });
  const fix = 'set tie_word_embeddings to true in config.json if the head shares the embedding';
  return new EmbedError('EM1015', { where: folder, why, fix });
}

function storedTensor(entry: SafetensorsEntry, shape: readonly number[]): StoredTensor {
  const where = `${entry.file.path}, ${entry.name}`;
  if (entry.shape.length !== shape.length || entry.shape.some((size, i) => size !== shape[i])) {
    const why = `expected ${showShape(shape)}, found ${showShape(entry.shape)}`;
    throw new EmbedError('EM1016', { where, why });
  }
  if (!isTensorDtype(entry.dtype)) {
    const why = `dtype ${entry.dtype}; weights are read as ${Object.keys(elementBytes).join(', ')}`;
    throw new EmbedError('EM1014', { where, why });
  }
  const info = { name: entry.name, dtype: entry.dtype, shape };
  return { info, file: entry.file, offset: entry.offset };
}

/**
 * Tensors that are not demanded are extras such as rotary.inv_freq, which transformers recomputes. A bias is
 * no extra: one that no operator adds would be lost in silence.
 */
function refuseUnknownBiases(
  folder: string,
  config: DecoderConfig,
  demands: readonly TensorDemand[],
  entries: ReadonlyMap<string, SafetensorsEntry>,
): void {
  const known = new Set(demands.map(({ name }) => name));
  for (const name of entries.keys()) {
    if (name.endsWith('.bias') && !known.has(name)) {
      const why = `${name} has no place in ${config.architecture}`;
      throw new EmbedError('EM1008', { where: folder, why });
    }
  }
}

/** A tied model may store its head as well, but then it must be the embedding. Compared in bounded pieces. */
function requireTiedHead(
  folder: string,
  stored: ReadonlyMap<string, StoredTensor>,
  entries: ReadonlyMap<string, SafetensorsEntry>,
): void {
  const headEntry = entries.get('lm_head.weight');
  const embedding = stored.get('model.embed_tokens.weight');
  if (headEntry === undefined || embedding === undefined) return;
  const head = storedTensor(headEntry, embedding.info.shape);
  const [rows, columns] = rowsAndColumns(head.info.shape);
  const step = Math.max(1, Math.floor(comparedElements / columns));
  for (let row = 0; row < rows; row += step) {
    const count = Math.min(step, rows - row);
    const expected = readStoredRows(embedding, row, count);
    const found = readStoredRows(head, row, count);
    const differing = found.findIndex((value, i) => value !== expected[i]);
    if (differing >= 0) {
      const at = row + Math.floor(differing / columns);
      const why = `tie_word_embeddings is true, but row ${at} of lm_head.weight is not that of the embedding`;
      throw new EmbedError('EM1019', { where: folder, why });
    }
  }
}
