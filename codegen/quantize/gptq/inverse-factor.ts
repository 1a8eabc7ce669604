/** Triangular factors in float64, as GPTQ needs them. */
import type { NativeLibrary } from '../../calibrate/native/native-library.js';

/**
 * The upper triangular U with U^T U = A^-1 for a symmetric positive definite A (float64[n x n], row-major, overwritten), or null
 * where A is not positive definite to working precision.
 *
 * A = R R^T with R upper triangular is Cholesky's factorization begun at the last row; then A^-1 = R^-T R^-1, so U = R^-1. That
 * spares the inverse of A and a second factorization. n^3 / 3 multiplications.
 */
export function inverseFactor(a: Float64Array, n: number, native?: NativeLibrary): Float64Array | null {
  if (native !== undefined) return native.inverseFactor(a, n);
  return factor(a, n) ? invertUpper(a, n) : null;
}

/** Overwrites the upper triangle of A by R; false where a pivot is not positive. */
function factor(a: Float64Array, n: number): boolean {
  for (let j = n - 1; j >= 0; j--) {
    const rowJ = j * n;
    const pivot = a[rowJ + j]! - dot(a, rowJ, rowJ, j + 1, n);
    if (!(pivot > 0) || !Number.isFinite(pivot)) return false;
    const root = Math.sqrt(pivot);
    a[rowJ + j] = root;
    for (let i = 0; i < j; i++) {
      const rowI = i * n;
      a[rowI + j] = (a[rowI + j]! - dot(a, rowI, rowJ, j + 1, n)) / root;
    }
  }
  return true;
}

/** Sum over first <= k < end of a[p + k] a[q + k], in four sums that do not wait for each other. */
function dot(a: Float64Array, p: number, q: number, first: number, end: number): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let k = first;
  for (; k + 4 <= end; k += 4) {
    s0 += a[p + k]! * a[q + k]!;
    s1 += a[p + k + 1]! * a[q + k + 1]!;
    s2 += a[p + k + 2]! * a[q + k + 2]!;
    s3 += a[p + k + 3]! * a[q + k + 3]!;
  }
  for (; k < end; k++) s0 += a[p + k]! * a[q + k]!;
  return s0 + s1 + (s2 + s3);
}

/** R^-1, row by row from the last: row i of U is (e_i - sum over k > i of R_ik row k of U) / R_ii. */
function invertUpper(r: Float64Array, n: number): Float64Array {
  const u = new Float64Array(n * n);
  for (let i = n - 1; i >= 0; i--) {
    const row = i * n;
    for (let k = i + 1; k < n; k++) {
      const factor = r[row + k]!;
      if (factor === 0) continue;
      const from = k * n;
      for (let c = k; c < n; c++) u[row + c] = u[row + c]! - factor * u[from + c]!;
    }
    const inverse = 1 / r[row + i]!;
    u[row + i] = inverse;
    for (let c = i + 1; c < n; c++) u[row + c] = u[row + c]! * inverse;
  }
  return u;
}
