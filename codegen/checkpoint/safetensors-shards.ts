import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { EmbedError } from '../diagnostics/error.js';
import type { FileSet } from './file-set.js';
import { isJsonObject, readJsonObject } from './json-object.js';
import { readSafetensorsHeader, type SafetensorsEntry } from './safetensors.js';

const mostIndexBytes = 64 << 20;
/** Each shard is a file handle; systems allow 1,024 of them to a process by default. */
const mostShards = 512;

/**
 * All tensors of a folder: of model.safetensors, else of the shards that model.safetensors.index.json names,
 * whose weight_map must list exactly the tensors the shards hold. Opens index and shards, by name, into
 * `files`. Throws EM1003 when there is neither, EM1017 when the index is wrong, and what
 * readSafetensorsHeader throws.
 */
export function readSafetensorsFolder(folder: string, files: FileSet): Map<string, SafetensorsEntry> {
  const single = join(folder, 'model.safetensors');
  if (existsSync(single)) return readSafetensorsHeader(files.open(single));
  const index = join(folder, 'model.safetensors.index.json');
  if (existsSync(index)) return readShards(folder, index, files);
  throw new EmbedError('EM1003', {
    where: folder,
    why: `has neither model.safetensors nor model.safetensors.index.json${otherWeights(folder)}`,
  });
}

function readShards(folder: string, index: string, files: FileSet): Map<string, SafetensorsEntry> {
  const shardOf = readWeightMap(index, files);
  const shards = [...new Set(shardOf.values())].sort();
  if (shards.length > mostShards) {
    throw new EmbedError('EM1017', {
      where: index,
      why: `names ${shards.length} shards; at most ${mostShards} are read`,
    });
  }
  const entries = new Map<string, SafetensorsEntry>();
  for (const shard of shards) {
    if (!existsSync(join(folder, shard))) {
      throw new EmbedError('EM1017', { where: index, why: `shard ${shard} is not in the folder` });
    }
    for (const [name, entry] of readSafetensorsHeader(files.open(join(folder, shard)))) {
      const listed = shardOf.get(name);
      if (listed !== shard) {
        const place = listed === undefined ? 'does not list it' : `puts it in ${listed}`;
        throw new EmbedError('EM1017', { where: index, why: `${shard} holds ${name}, the index ${place}` });
      }
      entries.set(name, entry);
    }
  }
  for (const [name, shard] of shardOf) {
    if (!entries.has(name))
      throw new EmbedError('EM1017', { where: index, why: `${shard} does not hold ${name}` });
  }
  return entries;
}

/** Tensor name to shard file name. */
function readWeightMap(index: string, files: FileSet): Map<string, string> {
  const weightMap = readJsonObject(files.open(index), mostIndexBytes).weight_map;
  if (!isJsonObject(weightMap)) {
    throw new EmbedError('EM1017', { where: index, why: 'weight_map is missing or not an object' });
  }
  return new Map(
    Object.entries(weightMap).map(([tensor, shard]) => {
      if (!isPlainFileName(shard)) {
        const why = `shard of ${tensor} is ${JSON.stringify(shard)}; expected: the name of a file beside it`;
        throw new EmbedError('EM1017', { where: index, why });
      }
      return [tensor, shard];
    }),
  );
}

/**
 * Whether a name stays inside its folder: no separators, no drive letters, no dot names, nothing unprintable.
 */
function isPlainFileName(value: unknown): value is string {
  return typeof value === 'string' && /^[A-Za-z0-9_][A-Za-z0-9._+@=,-]{0,254}$/.test(value);
}

function otherWeights(folder: string): string {
  const names = ['pytorch_model.bin.index.json', 'consolidated.safetensors', 'tf_model.h5'];
  const found = names.find((name) => existsSync(join(folder, name)));
  return found === undefined ? '' : `; it has ${found}, which this version does not read`;
}
