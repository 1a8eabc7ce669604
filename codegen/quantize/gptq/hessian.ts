/** The Hessian of a linear op's squared output error: X^T X over the inputs it sees. */
import type { LinearAlgebra } from '../../calibrate/linear-algebra.js';

/** Tokens that one product in float32 takes: their sums are then added up in float64. */
const CHUNK = 512;

/**
 * Sums x x^T over the inputs x of a matrix. The error (W - Q) x summed over all x is tr((W - Q) H (W - Q)^T) with H = X^T X
 * (Frantar et al., GPTQ, arXiv 2210.17323, section 3), so H says what an error in each column costs.
 */
export class Hessian {
  /** float64[columns x columns], symmetric. */
  readonly sums: Float64Array;
  tokens = 0;

  constructor(readonly columns: number) {
    this.sums = new Float64Array(columns * columns);
  }

  /** Takes float32[tokens x columns] inputs. */
  add(x: Float32Array, tokens: number, algebra: LinearAlgebra): void {
    const { columns, sums } = this;
    const product = new Float32Array(columns * columns);
    for (let first = 0; first < tokens; first += CHUNK) {
      const count = Math.min(CHUNK, tokens - first);
      const transposed = transpose(x.subarray(first * columns, (first + count) * columns), count, columns);
      algebra.matmul(product, transposed, transposed, columns, columns, count);
      for (let i = 0; i < sums.length; i++) sums[i] = sums[i]! + product[i]!;
    }
    this.tokens += tokens;
  }

  /** The diagonal: sum of x_c^2 for each column. */
  diagonal(): Float64Array {
    return Float64Array.from({ length: this.columns }, (_, c) => this.sums[c * this.columns + c]!);
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
