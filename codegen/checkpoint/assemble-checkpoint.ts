import { basename, resolve } from 'node:path';
import { EmbedError } from '../diagnostics/error.js';
import type { Checkpoint, CheckpointFormat } from './checkpoint.js';
import type { DecoderConfig } from './config.js';
import { entrySource } from './entry-source.js';
import { type FamilyReader, familyReaders } from './family-readers.js';
import { FileCheckpoint } from './file-checkpoint.js';
import type { FileSet } from './file-set.js';
import { readHuggingFaceConfig } from './huggingface-config.js';
import { llamaTensors, type TensorDemand } from './llama-tensors.js';
import { showShape } from './safetensors.js';
import type { Settings } from './settings.js';
import { rowsAndColumns } from './stored-tensor.js';
import { infoOf, type TensorEntry } from './tensor-entry.js';
import { ViewedCheckpoint } from './tensor-view.js';

const comparedElements = 1 << 18;

/** What a reader of a format found: settings in the terms of config.json, tensors by their Hugging Face names. */
export interface CheckpointParts {
  /** The path that was given. */
  readonly path: string;
  readonly format: CheckpointFormat;
  readonly formatText: string;
  readonly settings: Settings;
  readonly generation: Settings | null;
  readonly entries: ReadonlyMap<string, TensorEntry>;
  readonly files: FileSet;
}

/**
 * The checkpoint that settings and tensors make together: every tensor that the settings demand is located, its
 * shape and type are checked. Of the weights nothing is read, except where a tied model also brings its head,
 * which must then equal the embedding. Throws EM1005 to EM1008, EM1014 to EM1016, EM1019.
 */
export function assembleCheckpoint(parts: CheckpointParts): Checkpoint {
  const { path, format, formatText, entries, files } = parts;
  const family = familyReaders.find((reader) => reader.recognizes(parts.settings));
  if (family !== undefined) return bindFamily(parts, family);
  const { config, biases } = readHuggingFaceConfig(parts.settings, parts.generation);
  const demands = llamaTensors(config, biases);
  const located = locateTensors(path, demands, entries);
  refuseUnknownBiases(path, config, demands, entries);
  if (config.tiedEmbedding) requireTiedHead(path, located, entries);
  return new FileCheckpoint(path, format, formatText, config, located, files);
}

/** A checkpoint of a family that binds tensors to the names of its graph. */
function bindFamily(parts: CheckpointParts, family: FamilyReader<DecoderConfig>): Checkpoint {
  const { path, format, formatText, entries, files } = parts;
  const config = family.read(parts.settings, parts.generation);
  const source = entrySource(path, entries);
  const views = family.bind(source, config);
  return new ViewedCheckpoint(
    path,
    basename(resolve(path)),
    format,
    formatText,
    config,
    source,
    views,
    files,
  );
}

function locateTensors(
  path: string,
  demands: readonly TensorDemand[],
  entries: ReadonlyMap<string, TensorEntry>,
): Map<string, TensorEntry> {
  const located = new Map<string, TensorEntry>();
  for (const { name, shape, presence } of demands) {
    const entry = entries.get(name);
    if (entry === undefined) {
      if (presence !== 'required') continue;
      throw missingTensor(path, name, shape);
    }
    if (presence === 'forbidden') {
      const why = `${name} is there, but config.json says that the model has no such bias`;
      throw new EmbedError('EM1019', { where: entry.path, why });
    }
    requireShape(entry, shape);
    located.set(name, entry);
  }
  return located;
}

function missingTensor(path: string, name: string, shape: readonly number[]): EmbedError {
  const why = `${name} ${showShape(shape)} is in none of the weight files`;
  if (name !== 'lm_head.weight') return new EmbedError('EM1015', { where: path, why });
  const fix = 'set tie_word_embeddings to true in config.json if the head shares the embedding';
  return new EmbedError('EM1015', { where: path, why, fix });
}

/** Throws EM1016 for another shape, EM1014 for a type that cannot be read. */
function requireShape(entry: TensorEntry, shape: readonly number[]): void {
  if (entry.shape.length !== shape.length || entry.shape.some((size, i) => size !== shape[i])) {
    const why = `expected ${showShape(shape)}, found ${showShape(entry.shape)}`;
    throw new EmbedError('EM1016', { where: `${entry.path}, ${entry.name}`, why });
  }
  infoOf(entry);
}

/**
 * Tensors that are not demanded are extras such as rotary.inv_freq, which transformers recomputes. A bias is
 * no extra: one that no operator adds would be lost in silence.
 */
function refuseUnknownBiases(
  path: string,
  config: DecoderConfig,
  demands: readonly TensorDemand[],
  entries: ReadonlyMap<string, TensorEntry>,
): void {
  const known = new Set(demands.map(({ name }) => name));
  for (const name of entries.keys()) {
    if (name.endsWith('.bias') && !known.has(name)) {
      const why = `${name} has no place in ${config.architecture}`;
      throw new EmbedError('EM1008', { where: path, why });
    }
  }
}

/** A tied model may store its head as well, but then it must be the embedding. Compared in bounded pieces. */
function requireTiedHead(
  path: string,
  located: ReadonlyMap<string, TensorEntry>,
  entries: ReadonlyMap<string, TensorEntry>,
): void {
  const head = entries.get('lm_head.weight');
  const embedding = located.get('model.embed_tokens.weight');
  if (head === undefined || embedding === undefined) return;
  requireShape(head, embedding.shape);
  const [rows, columns] = rowsAndColumns(head.shape);
  const step = Math.max(1, Math.floor(comparedElements / columns));
  for (let row = 0; row < rows; row += step) {
    const count = Math.min(step, rows - row);
    const expected = embedding.readRows(row, count);
    const found = head.readRows(row, count);
    const differing = found.findIndex((value, i) => value !== expected[i]);
    if (differing >= 0) {
      const at = row + Math.floor(differing / columns);
      const why = `tie_word_embeddings is true, but row ${at} of lm_head.weight is not that of the embedding`;
      throw new EmbedError('EM1019', { where: path, why });
    }
  }
}
