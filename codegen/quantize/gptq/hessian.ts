/** The Hessian of a linear op's squared output error: X^T X over the inputs it sees. */
import type { LinearAlgebra } from '../../calibrate/linear-algebra.js';

/** Tokens that one product in float32 takes: their sums are then added up in float64. */
const CHUNK = 512;
/** Rows of the Hessian that are computed at a time, each from the block's first column on: the rest is its mirror image. */
const BLOCK = 128;

/**
 * Sums x x^T over the inputs x of a matrix. The error (W - Q) x summed over all x is tr((W - Q) H (W - Q)^T) with H = X^T X
 * (Frantar et al., GPTQ, arXiv 2210.17323, section 3), so H says what an error in each column costs.
 */
export class Hessian {
  /** float64[columns x columns]; blocks below the diagonal are filled in when asked for. */
  readonly #sums: Float64Array;
  #mirrored = true;
  tokens = 0;

  constructor(readonly columns: number) {
    this.#sums = new Float64Array(columns * columns);
  }

  /** float64[columns x columns], symmetric. */
  get sums(): Float64Array {
    if (!this.#mirrored) mirror(this.#sums, this.columns);
    this.#mirrored = true;
    return this.#sums;
  }

  /** Takes float32[tokens x columns] inputs. */
  add(x: Float32Array, tokens: number, algebra: LinearAlgebra): void {
    this.tokens += tokens;
    this.#mirrored = false;
    if (algebra.native?.addGram(this.#sums, x, tokens, this.columns)) return;
    const { columns } = this;
    const product = new Float32Array(Math.min(BLOCK, columns) * columns);
    for (let first = 0; first < tokens; first += CHUNK) {
      const count = Math.min(CHUNK, tokens - first);
      const transposed = transpose(x.subarray(first * columns, (first + count) * columns), count, columns);
      for (let top = 0; top < columns; top += BLOCK) {
        const rows = Math.min(BLOCK, columns - top);
        const from = transposed.subarray(top * count);
        algebra.matmul(product, from, from, rows, columns - top, count);
        this.#addBlock(product, top, rows);
      }
    }
  }

  /** Adds float32[rows x columns - top] to the rows from `top` on, right of column `top`. */
  #addBlock(product: Float32Array, top: number, rows: number): void {
    const width = this.columns - top;
    for (let r = 0; r < rows; r++) {
      const at = (top + r) * this.columns + top;
      for (let c = 0; c < width; c++) this.#sums[at + c] = this.#sums[at + c]! + product[r * width + c]!;
    }
  }

  /** The diagonal: sum of x_c^2 for each column. */
  diagonal(): Float64Array {
    return Float64Array.from({ length: this.columns }, (_, c) => this.#sums[c * this.columns + c]!);
  }
}

/** float32[columns x rows] of float32[rows x columns]. */
function transpose(x: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(rows * columns);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) out[c * rows + r] = x[r * columns + c]!;
  }
  return out;
}

/** Copies what is above the diagonal to below it, tile by tile so that both sides stay in cache. */
function mirror(a: Float64Array, n: number): void {
  const tile = 64;
  for (let i0 = 0; i0 < n; i0 += tile) {
    for (let j0 = i0; j0 < n; j0 += tile) {
      for (let i = i0; i < Math.min(n, i0 + tile); i++)
        for (let j = Math.max(j0, i + 1); j < Math.min(n, j0 + tile); j++) a[j * n + i] = a[i * n + j]!;
    }
  }
}
