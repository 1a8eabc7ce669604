/** Float weights of which some matrices were replaced. */
import type { FloatWeights } from './float-evaluator.js';

/** Weights of a model with replacements that come and go: a matrix that was set is read from there, any other from `base`. */
export class OverlaidWeights implements FloatWeights {
  readonly #replaced = new Map<string, { readonly w: Float32Array; readonly columns: number }>();

  constructor(readonly base: FloatWeights) {}

  /** Replaces a matrix by float32[rows x columns]. */
  set(matrix: string, w: Float32Array, columns: number): void {
    this.#replaced.set(matrix, { w, columns });
  }

  /** Takes a replacement back. */
  delete(matrix: string): void {
    this.#replaced.delete(matrix);
  }

  block(matrix: string, first: number, count: number): { readonly w: Float32Array; readonly kept: boolean } {
    const own = this.#replaced.get(matrix);
    if (own === undefined) return this.base.block(matrix, first, count);
    return { w: own.w.subarray(first * own.columns, (first + count) * own.columns), kept: false };
  }

  row(matrix: string, row: number): Float32Array {
    const own = this.#replaced.get(matrix);
    return own === undefined
      ? this.base.row(matrix, row)
      : own.w.subarray(row * own.columns, (row + 1) * own.columns);
  }

  vector(name: string): Float32Array {
    return this.base.vector(name);
  }
}
