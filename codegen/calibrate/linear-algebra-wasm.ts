import { readFileSync } from 'node:fs';
import type { LinearAlgebra } from './linear-algebra.js';
import { PlainLinearAlgebra } from './linear-algebra-plain.js';
import { checkShapes } from './linear-algebra-shapes.js';

export interface WasmOptions {
  /**
   * Most bytes of WebAssembly memory, kept weights included; up to 1 GiB, 256 MiB where it is not given.
   * A quarter of it, at most 16 MiB, is scratch for one chunk of a product.
   */
  readonly memoryBytes?: number;
}

/** Exports of wasm/matmul.ts, addresses in bytes. */
interface Kernel {
  readonly memory: WebAssembly.Memory;
  matmul(
    y: number,
    x: number,
    w: number,
    tokens: number,
    rows: number,
    cols: number,
    columnBlock: number,
  ): void;
}

/** Weights that stay: where they lie (bytes) once they are copied, and in what shape they were. */
type Kept = { readonly address: number; readonly rows: number; readonly cols: number } | 'not copied yet';

const PAGE = 65536;
const FLOAT = Float32Array.BYTES_PER_ELEMENT;
const SCRATCH_LIMIT = 16 * 1024 ** 2;
const DEFAULT_MEMORY = 256 * 1024 ** 2;
/**
 * Columns summed in four lanes before these are added up: bounds the rounding error, keeps 4 rows of weights
 * in L1.
 */
const COLUMN_BLOCK = 512;
/**
 * Rows the kernel works on at once, lanes of a vector: rows and columns are padded with zeros to multiples of
 * it.
 */
const QUAD = 4;

const moduleUrl = new URL('./wasm/matmul.wasm', import.meta.url);

/**
 * The roundings that the longest path from a product to its sum passes through: 1 + additions of the kernel.
 */
export function wasmRoundings(cols: number): number {
  const block = Math.min(cols, COLUMN_BLOCK);
  return 1 + Math.ceil(block / QUAD) + 2 + (Math.ceil(cols / COLUMN_BLOCK) - 1);
}

/** How one product is cut into pieces that fit the scratch memory. */
interface Chunks {
  readonly tokens: number;
  /** A multiple of 4. */
  readonly rows: number;
}

/**
 * Linear algebra on WebAssembly SIMD. Operands are copied into the module's own memory: activations at every
 * call, weights at every call too, unless `keep` promised that they stay and there was room for them. Whoever
 * comes first stays: a decoder walks through its weights in a cycle, where evicting the least recently used
 * would always evict the next one needed.
 *
 *     memory:  | scratch: weights chunk, activations, results | kept weights ...  grows up to memoryBytes
 */
export class WasmLinearAlgebra implements LinearAlgebra {
  readonly name = 'wasm';
  readonly #kernel: Kernel;
  readonly #memoryBytes: number;
  readonly #scratchBytes: number;
  readonly #kept = new WeakMap<Float32Array, Kept>();
  readonly #plain = new PlainLinearAlgebra();
  /** First byte that is not taken. */
  #top: number;
  #heap: Float32Array;

  private constructor(kernel: Kernel, memoryBytes: number) {
    this.#kernel = kernel;
    this.#memoryBytes = memoryBytes;
    this.#scratchBytes = Math.min(SCRATCH_LIMIT, Math.floor(memoryBytes / 4 / PAGE) * PAGE);
    this.#top = this.#scratchBytes;
    this.#heap = new Float32Array(kernel.memory.buffer);
    if (!this.#reserve(this.#scratchBytes)) throw new RangeError('no memory for the scratch of matmul');
  }

  /**
   * The implementation, or undefined where the module is not built, the engine lacks 128-bit SIMD or gives no
   * memory.
   * @throws RangeError when memoryBytes is not from 256 KiB to 1 GiB.
   */
  static load(options: WasmOptions = {}): WasmLinearAlgebra | undefined {
    const memoryBytes = options.memoryBytes ?? DEFAULT_MEMORY;
    if (!(memoryBytes >= 4 * PAGE && memoryBytes <= 1024 ** 3)) {
      throw new RangeError(`memoryBytes is ${memoryBytes}, not from 256 KiB to 1 GiB`);
    }
    const module = compiledModule();
    if (module === undefined) return undefined;
    try {
      const { exports } = new WebAssembly.Instance(module);
      return new WasmLinearAlgebra(exports as unknown as Kernel, memoryBytes);
    } catch {
      return undefined;
    }
  }

  /** Bytes of WebAssembly memory in use, scratch included. */
  get memoryBytes(): number {
    return this.#heap.byteLength;
  }

  keep(w: Float32Array): void {
    if (!this.#kept.has(w)) this.#kept.set(w, 'not copied yet');
  }

  matmul(
    y: Float32Array,
    x: Float32Array,
    w: Float32Array,
    tokens: number,
    rows: number,
    cols: number,
  ): void {
    checkShapes(y, x, w, tokens, rows, cols);
    const stride = roundUp(cols, QUAD) * FLOAT;
    const kept = this.#keptAddress(w, rows, cols);
    const chunks = this.#chunks(tokens, rows, stride, kept !== undefined);
    if (chunks === undefined) {
      this.#plain.matmul(y, x, w, tokens, rows, cols);
      return;
    }
    const activations = kept === undefined ? chunks.rows * stride : 0;
    const results = activations + chunks.tokens * stride;
    for (let r = 0; r < rows; r += chunks.rows) {
      const height = Math.min(chunks.rows, rows - r);
      let weights = 0;
      if (kept === undefined) this.#copyIn(weights, w, r, height, cols, roundUp(height, QUAD));
      else weights = kept + r * stride;
      for (let t = 0; t < tokens; t += chunks.tokens) {
        const count = Math.min(chunks.tokens, tokens - t);
        this.#copyIn(activations, x, t, count, cols, count);
        this.#multiply(results, activations, weights, count, height, stride);
        this.#copyOut(y, t, r, rows, results, count, height);
      }
    }
  }

  #multiply(y: number, x: number, w: number, tokens: number, rows: number, stride: number): void {
    this.#kernel.matmul(y, x, w, tokens, roundUp(rows, QUAD), stride / FLOAT, COLUMN_BLOCK);
  }

  /**
   * Where kept weights lie, copied there at their first use; undefined when they are not kept or do not fit.
   */
  #keptAddress(w: Float32Array, rows: number, cols: number): number | undefined {
    const kept = this.#kept.get(w);
    if (kept === undefined) return undefined;
    if (kept !== 'not copied yet') return kept.cols === cols && kept.rows >= rows ? kept.address : undefined;
    const address = this.#top;
    const height = roundUp(rows, QUAD);
    if (!this.#reserve(address + height * roundUp(cols, QUAD) * FLOAT)) {
      this.#kept.delete(w);
      return undefined;
    }
    this.#copyIn(address, w, 0, rows, cols, height);
    this.#kept.set(w, { address, rows, cols });
    return address;
  }

  /**
   * Half of the scratch for weights, the rest for activations and results; undefined where 4 rows are too
   * long for it. One token always fits the other half: its activations are a row, its results one float a row
   * of 16 bytes or more.
   */
  #chunks(tokens: number, rows: number, stride: number, kept: boolean): Chunks | undefined {
    const rowsThatFit = Math.floor(this.#scratchBytes / 2 / stride / QUAD) * QUAD;
    if (rowsThatFit === 0) return undefined;
    const chunkRows = Math.min(roundUp(rows, QUAD), rowsThatFit);
    const left = this.#scratchBytes - (kept ? 0 : chunkRows * stride);
    return { rows: chunkRows, tokens: Math.min(tokens, Math.floor(left / (stride + chunkRows * FLOAT))) };
  }

  /**
   * `count` rows from row `first` on to a byte address, with zeros up to `height` rows and whole quads of
   * columns.
   */
  #copyIn(
    address: number,
    source: Float32Array,
    first: number,
    count: number,
    cols: number,
    height: number,
  ): void {
    const start = address / FLOAT;
    const width = roundUp(cols, QUAD);
    if (width === cols) {
      this.#heap.set(source.subarray(first * cols, (first + count) * cols), start);
      this.#heap.fill(0, start + count * width, start + height * width);
      return;
    }
    this.#heap.fill(0, start, start + height * width);
    for (let row = 0; row < count; row++) {
      const from = (first + row) * cols;
      this.#heap.set(source.subarray(from, from + cols), start + row * width);
    }
  }

  /** A chunk of results, token by token, into columns r..r+height of y. */
  #copyOut(
    y: Float32Array,
    t: number,
    r: number,
    rows: number,
    address: number,
    count: number,
    height: number,
  ): void {
    const start = address / FLOAT;
    const width = roundUp(height, QUAD);
    if (width === rows) {
      y.set(this.#heap.subarray(start, start + count * width), t * rows);
      return;
    }
    for (let token = 0; token < count; token++) {
      const from = start + token * width;
      y.set(this.#heap.subarray(from, from + height), (t + token) * rows + r);
    }
  }

  /** Takes the memory up to `end`; false where that is beyond the bound or the host has no more. */
  #reserve(end: number): boolean {
    if (end > this.#memoryBytes) return false;
    const missing = Math.ceil((end - this.#heap.byteLength) / PAGE);
    if (missing > 0) {
      try {
        this.#kernel.memory.grow(missing);
      } catch {
        return false;
      }
      this.#heap = new Float32Array(this.#kernel.memory.buffer);
    }
    this.#top = end;
    return true;
  }
}

let cachedModule: WebAssembly.Module | undefined;

/** wasm/matmul.wasm beside this file, compiled once a process. */
function compiledModule(): WebAssembly.Module | undefined {
  if (cachedModule === undefined) {
    try {
      const bytes = readFileSync(moduleUrl);
      if (WebAssembly.validate(bytes)) cachedModule = new WebAssembly.Module(bytes);
    } catch {
      return undefined;
    }
  }
  return cachedModule;
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}
