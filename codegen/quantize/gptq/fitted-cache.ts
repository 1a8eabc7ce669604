/** Integers that were fitted before: an interrupted fit goes on where it stopped, and one model for three targets is fitted once. */
import { createHash } from 'node:crypto';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from '../../compile/cache-folder.js';
import type { FormatName } from '../format.js';
import { allocateMatrix, type QuantizedMatrix } from '../matrix.js';

/** Bytes that all entries take at most, those of other models included. */
const MOST_BYTES = 1e9;
/** Fitting fewer weights takes about as long as reading them back. */
const FEWEST_WEIGHTS = 1e6;
/** Bytes of a SHA-256. */
const HASH_BYTES = 32;
/** With the number of a process: what one that was killed left unfinished. */
const ENTRY = /^[0-9a-f]{64}(?:\.\d+)?$/;

/** What an entry must be. */
export interface MatrixShape {
  readonly name: string;
  readonly format: FormatName;
  readonly rows: number;
  readonly columns: number;
}

/**
 * A file a matrix: a SHA-256 over the rest, then integers, sub-scales, mantissas (int32) and exponents. Its name is a hash of
 * everything that the integers depend on. What was not used for the longest time is removed when a size is passed.
 */
export class FittedCache {
  #isWritable = true;

  constructor(
    readonly folder = join(cacheFolder(), 'integers'),
    readonly mostBytes = MOST_BYTES,
  ) {}

  /** Null where there is no entry, or it is damaged: then it is removed. */
  get(key: string, { name, format, rows, columns }: MatrixShape): QuantizedMatrix | null {
    const path = join(this.folder, key);
    const matrix = allocateMatrix(name, format, rows, columns);
    const parts = partsOf(matrix);
    const expected = HASH_BYTES + parts.reduce((sum, part) => sum + part.byteLength, 0);
    try {
      if (statSync(path).size !== expected) throw new RangeError('another size');
      const stored = readFileSync(path);
      let at = HASH_BYTES;
      for (const part of parts) {
        part.set(stored.subarray(at, at + part.byteLength));
        at += part.byteLength;
      }
      if (!hashOf(matrix).equals(stored.subarray(0, HASH_BYTES))) throw new RangeError('another hash');
      const now = new Date();
      utimesSync(path, now, now);
      return matrix;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#remove(path);
      return null;
    }
  }

  /** A cache that cannot be written is done without. */
  put(key: string, matrix: QuantizedMatrix): void {
    if (!this.#isWritable) return;
    const path = join(this.folder, key);
    const unfinished = `${path}.${process.pid}`;
    try {
      mkdirSync(this.folder, { recursive: true });
      writeFileSync(unfinished, Buffer.concat([hashOf(matrix), ...partsOf(matrix)]));
      renameSync(unfinished, path);
      this.#trim();
    } catch {
      this.#isWritable = false;
      this.#remove(unfinished);
    }
  }

  /** Removes what was not used for the longest time until the rest fits. */
  #trim(): void {
    const entries = readdirSync(this.folder)
      .filter((name) => ENTRY.test(name))
      .flatMap((name) => {
        const path = join(this.folder, name);
        const stat = statSync(path, { throwIfNoEntry: false });
        return stat === undefined ? [] : [{ path, bytes: stat.size, usedMs: stat.mtimeMs }];
      })
      .sort((a, b) => a.usedMs - b.usedMs);
    let bytes = entries.reduce((sum, entry) => sum + entry.bytes, 0);
    for (const entry of entries) {
      if (bytes <= this.mostBytes) return;
      this.#remove(entry.path);
      bytes -= entry.bytes;
    }
  }

  #remove(path: string): void {
    try {
      rmSync(path, { force: true });
    } catch {
      this.#isWritable = false;
    }
  }
}

/** The user's cache, for models that are worth it. */
export function userFittedCache(weights: number): FittedCache | null {
  return weights < FEWEST_WEIGHTS ? null : new FittedCache();
}

/** Names of entries: each follows from everything before it, so that a change in one layer leaves those before it valid. */
export class FittedKeys {
  #chain: Buffer;

  /** `problem`: what all entries depend on. */
  constructor(problem: Buffer) {
    this.#chain = problem;
  }

  /** Keys of the matrices of the next site, given with their formats. */
  next(site: readonly (readonly [name: string, format: FormatName])[]): ReadonlyMap<string, string> {
    this.#chain = createHash('sha256').update(this.#chain).update(JSON.stringify(site)).digest();
    const key = (name: string) => createHash('sha256').update(this.#chain).update(name).digest('hex');
    return new Map(site.map(([name]) => [name, key(name)]));
  }
}

function partsOf({ integers, subScales, mantissas, exponents }: QuantizedMatrix): Uint8Array[] {
  const views: (ArrayBufferView | null)[] = [integers, subScales, mantissas, exponents];
  return views.flatMap((view) =>
    view === null ? [] : [new Uint8Array(view.buffer, view.byteOffset, view.byteLength)],
  );
}

function hashOf(matrix: QuantizedMatrix): Buffer {
  const hash = createHash('sha256').update(`${matrix.name}\0${matrix.format}\0`);
  for (const part of partsOf(matrix)) hash.update(part);
  return hash.digest();
}
