/** Which matrices of a GPTQ run were fitted before, by the same weights, windows and formats. */
import { createHash } from 'node:crypto';
import { codeHash } from '../../code-hash.js';
import type { Graph } from '../../graph/graph.js';
import { readMatrixRows } from '../../graph/rotate-inputs.js';
import { breathe } from '../../progress.js';
import type { QuantizedMatrix } from '../matrix.js';
import { type FittedCache, FittedKeys } from './fitted-cache.js';
import type { SequentialInput } from './quantize-sequentially.js';

/** Rows that are hashed at a time. */
const ROWS_AT_A_TIME = 1024;

export class FittedMatrices {
  readonly #keys = new Map<string, string>();
  readonly #known = new Map<string, QuantizedMatrix>();

  private constructor(
    readonly cache: FittedCache | null,
    readonly input: SequentialInput,
  ) {}

  /** Looks all matrices of the sites up, which are in the order of the run. Without a cache none is known. */
  static async open(
    cache: FittedCache | null,
    input: SequentialInput,
    sites: readonly (readonly string[])[],
    signal: AbortSignal,
  ): Promise<FittedMatrices> {
    const found = new FittedMatrices(cache, input);
    if (cache === null) return found;
    const keys = new FittedKeys(await problemHash(input, signal));
    for (const names of sites) {
      const site = keys.next(names.map((name) => [name, input.formats.get(name)!]));
      for (const [name, key] of site) if (!found.#keys.has(name)) found.#look(name, key, cache);
    }
    return found;
  }

  get(name: string): QuantizedMatrix | undefined {
    return this.#known.get(name);
  }

  get size(): number {
    return this.#known.size;
  }

  /** Remembers a matrix that was fitted now. */
  put(matrix: QuantizedMatrix): void {
    const key = this.#keys.get(matrix.name);
    if (key !== undefined) this.cache?.put(key, matrix);
  }

  #look(name: string, key: string, cache: FittedCache): void {
    const { rows, columns } = this.input.graph.matrices.find((matrix) => matrix.name === name)!;
    const matrix = cache.get(key, { name, format: this.input.formats.get(name)!, rows, columns });
    this.#keys.set(name, key);
    if (matrix !== null) this.#known.set(name, matrix);
  }
}

/** A hash of what all integers depend on: the weights as the graph reads them, its ops, the windows, and the arithmetic. */
async function problemHash(
  { graph, checkpoint, weights, windows, groupSize, algebra }: SequentialInput,
  signal: AbortSignal,
): Promise<Buffer> {
  const hash = createHash('sha256');
  const sums = algebra.name === 'plain' ? 'plain' : 'in lanes'; // native sums are those of wasm
  hash.update(JSON.stringify([codeHash(), sums, groupSize, windows, describe(graph)]));
  const update = (values: Float32Array) =>
    hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  for (const { name } of graph.vectors) update(weights.vector(name));
  for (const info of graph.matrices) {
    for (let first = 0; first < info.rows; first += ROWS_AT_A_TIME) {
      await breathe(signal);
      update(readMatrixRows(checkpoint, info, first, Math.min(ROWS_AT_A_TIME, info.rows - first)));
    }
  }
  return hash.digest();
}

const describe = (graph: Graph) => ({ ...graph, buffers: [...graph.buffers] });
