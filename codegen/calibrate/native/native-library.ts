/** The native library of native/*.c, as JavaScript calls it. */

import type { LinearAlgebra } from '../linear-algebra.js';

/** Its functions (native/binding.c). All throw RangeError for arguments that do not fit, before anything is done. */
interface NativeFunctions {
  matmul(
    ...args: [
      tokens: number,
      rows: number,
      columns: number,
      threads: number,
      y: Float32Array,
      x: Float32Array,
      w: Float32Array,
    ]
  ): number;
  addGram(tokens: number, columns: number, threads: number, sums: Float64Array, x: Float32Array): number;
  inverseFactor(n: number, threads: number, a: Float64Array, u: Float64Array): number;
  fitGroups(
    ...args: [
      rows: number,
      columns: number,
      group: number,
      min: number,
      max: number,
      threads: number,
      scales: Int8Array,
      weights: Float32Array,
      units: Float64Array,
      importance: Float64Array | null,
    ]
  ): number;
  sweep(
    ...args: [
      rows: number,
      columns: number,
      begin: number,
      width: number,
      min: number,
      max: number,
      threads: number,
      left: Float32Array,
      integers: Int8Array,
      errors: Float32Array,
      order: Int32Array,
      factor: Float64Array,
      units: Float64Array,
      scales: Int8Array | null,
    ]
  ): number;
}

/** The ends of a grid of integers. */
interface Grid {
  readonly min: number;
  readonly max: number;
}

/** Rows whose sub-scales are looked for; fit-grid.ts says how. */
export interface GroupFit extends Grid {
  readonly rows: number;
  readonly columns: number;
  /** Columns of a group. */
  readonly group: number;
  /** float32[rows x columns]. */
  readonly weights: Float32Array;
  /** Scale of a sub-scale of 1, a row. */
  readonly units: Float64Array;
  /** A value a column; null: ones. */
  readonly importance: Float64Array | null;
}

/** Columns [begin, begin + width) of a sweep; quantize-gptq.ts says what happens to them. */
export interface SweepBlock extends Grid {
  readonly rows: number;
  readonly columns: number;
  readonly begin: number;
  readonly width: number;
  /** float32[rows x columns], in the order of the sweep. */
  readonly left: Float32Array;
  /** int8[rows x columns], in the order of the matrix. */
  readonly integers: Int8Array;
  /** float32[rows x width]. */
  readonly errors: Float32Array;
  readonly order: Int32Array;
  /** float64[columns x columns]. */
  readonly factor: Float64Array;
  readonly units: Float64Array;
  /** int8[rows x groups of 32 columns], or null. */
  readonly scales: Int8Array | null;
}

/**
 * What runs natively: each function gives the bits that the TypeScript beside which it is called, or WebAssembly, gives, for any
 * number of threads.
 */
export class NativeLibrary {
  readonly #functions: NativeFunctions;

  private constructor(
    readonly path: string,
    /** Threads that a call may use. */
    readonly threads: number,
    functions: NativeFunctions,
  ) {
    this.#functions = functions;
  }

  /** Null where the file cannot be loaded, or does not compute what it must. */
  static load(path: string, threads: number): NativeLibrary | null {
    const module = { exports: {} };
    try {
      process.dlopen(module, path);
    } catch {
      return null;
    }
    const functions = module.exports as Partial<NativeFunctions>;
    const names = ['matmul', 'addGram', 'inverseFactor', 'fitGroups', 'sweep'] as const;
    if (names.some((name) => typeof functions[name] !== 'function')) return null;
    const library = new NativeLibrary(path, threads, functions as NativeFunctions);
    return multipliesExactly(library) ? library : null;
  }

  /** LinearAlgebra.matmul; shapes are checked. */
  matmul(...[y, x, w, tokens, rows, cols]: Parameters<LinearAlgebra['matmul']>): void {
    this.#functions.matmul(tokens, rows, cols, this.threads, y, x, w);
  }

  /** Adds x^T x to the blocks of float64[columns x columns] from the diagonal on; false, and nothing done, without memory. */
  addGram(sums: Float64Array, x: Float32Array, tokens: number, columns: number): boolean {
    return this.#functions.addGram(tokens, columns, this.threads, sums, x) === 1;
  }

  /** inverseFactor of inverse-factor.ts. Throws RangeError where memory is short. */
  inverseFactor(a: Float64Array, n: number): Float64Array | null {
    const u = new Float64Array(n * n);
    const found = this.#functions.inverseFactor(n, this.threads, a, u);
    if (found < 0) throw new RangeError('no memory to factor a Hessian');
    return found === 1 ? u : null;
  }

  /** Sub-scales int8[rows x groups]. */
  fitGroups({ rows, columns, group, min, max, weights, units, importance }: GroupFit): Int8Array {
    const scales = new Int8Array(rows * Math.ceil(columns / group));
    const { threads } = this;
    this.#functions.fitGroups(
      ...[rows, columns, group, min, max, threads, scales, weights, units, importance],
    );
    return scales;
  }

  /** Sweeps the block; false where its errors could not be taken from the columns after it, for want of memory. */
  sweep(block: SweepBlock): boolean {
    const { rows, columns, begin, width, min, max } = block;
    const { left, integers, errors, order, factor, units, scales } = block;
    const { threads } = this;
    return (
      this.#functions.sweep(
        ...[rows, columns, begin, width, min, max, threads],
        ...[left, integers, errors, order, factor, units, scales],
      ) === 1
    );
  }
}

let adopted: NativeLibrary | null = null;

/** What this thread was told to use; null: WebAssembly and TypeScript do everything. */
export function nativeLibrary(): NativeLibrary | null {
  return adopted;
}

/** Uses the library at `path` from now on; one that cannot be loaded is done without. */
export function adoptNativeLibrary(path: string, threads: number): void {
  adopted = NativeLibrary.load(path, threads);
}

/** Whether a product has the sums of linear-algebra-wasm.ts: a compiler that fuses multiplications and additions makes others. */
function multipliesExactly(library: NativeLibrary): boolean {
  const [tokens, rows, columns] = [11, 6, 526];
  const pattern = (length: number, step: number) =>
    Float32Array.from({ length }, (_, i) => Math.sin(i * step) * 2 ** (i % 7));
  const x = pattern(tokens * columns, 1.1);
  const w = pattern(rows * columns, 2.3);
  const y = new Float32Array(tokens * rows);
  library.matmul(y, x, w, tokens, rows, columns);
  return y.every((sum, at) => {
    const [t, r] = [Math.floor(at / rows), at % rows];
    return sum === sumInLanes(x.subarray(t * columns), w.subarray(r * columns), columns);
  });
}

/** A sum of products as linear-algebra.ts defines it for `wasm` and `native`. */
function sumInLanes(x: Float32Array, w: Float32Array, columns: number): number {
  const { fround } = Math;
  let sum = 0;
  for (let first = 0; first < columns; first += 512) {
    const lanes = [0, 0, 0, 0];
    for (let k = first; k < Math.min(columns, first + 512); k++)
      lanes[k % 4] = fround(lanes[k % 4]! + fround(x[k]! * w[k]!));
    const block = fround(fround(lanes[0]! + lanes[1]!) + fround(lanes[2]! + lanes[3]!));
    sum = first === 0 ? block : fround(sum + block);
  }
  return sum;
}
