import type { LinearAlgebra } from './linear-algebra.js';
import { checkShapes } from './linear-algebra-shapes.js';

/**
 * Linear algebra in plain TypeScript, summed in float64: the fallback, and the yardstick of the fast one.
 *
 * Tiles of 4 rows x 2 tokens: eight sums that do not wait for each other, and six loads for eight products.
 * Every tile adds its products in the order of k, so that all give the same bits.
 */
export class PlainLinearAlgebra implements LinearAlgebra {
  readonly name = 'plain';

  matmul(
    y: Float32Array,
    x: Float32Array,
    w: Float32Array,
    tokens: number,
    rows: number,
    cols: number,
  ): void {
    checkShapes(y, x, w, tokens, rows, cols);
    let r = 0;
    for (; r + 4 <= rows; r += 4) {
      let t = 0;
      for (; t + 2 <= tokens; t += 2) tile4x2(y, t * rows + r, rows, x, t * cols, w, r * cols, cols);
      if (t < tokens) tile4x1(y, t * rows + r, x, t * cols, w, r * cols, cols);
    }
    for (; r < rows; r++) {
      for (let t = 0; t < tokens; t++) y[t * rows + r] = dot(x, t * cols, w, r * cols, cols);
    }
  }

  /** Nothing to do: the weights are used where they are. */
  keep(_w: Float32Array): void {}
}

function tile4x2(
  y: Float32Array,
  yStart: number,
  rows: number,
  x: Float32Array,
  xStart: number,
  w: Float32Array,
  wStart: number,
  cols: number,
): void {
  const x1 = xStart + cols;
  const w1 = wStart + cols;
  const w2 = w1 + cols;
  const w3 = w2 + cols;
  let a0 = 0;
  let a1 = 0;
  let a2 = 0;
  let a3 = 0;
  let b0 = 0;
  let b1 = 0;
  let b2 = 0;
  let b3 = 0;
  for (let k = 0; k < cols; k++) {
    const a = x[xStart + k];
    const b = x[x1 + k];
    let weight = w[wStart + k];
    a0 += weight * a;
    b0 += weight * b;
    weight = w[w1 + k];
    a1 += weight * a;
    b1 += weight * b;
    weight = w[w2 + k];
    a2 += weight * a;
    b2 += weight * b;
    weight = w[w3 + k];
    a3 += weight * a;
    b3 += weight * b;
  }
  y[yStart] = a0;
  y[yStart + 1] = a1;
  y[yStart + 2] = a2;
  y[yStart + 3] = a3;
  y[yStart + rows] = b0;
  y[yStart + rows + 1] = b1;
  y[yStart + rows + 2] = b2;
  y[yStart + rows + 3] = b3;
}

function tile4x1(
  y: Float32Array,
  yStart: number,
  x: Float32Array,
  xStart: number,
  w: Float32Array,
  wStart: number,
  cols: number,
): void {
  const w1 = wStart + cols;
  const w2 = w1 + cols;
  const w3 = w2 + cols;
  let a0 = 0;
  let a1 = 0;
  let a2 = 0;
  let a3 = 0;
  for (let k = 0; k < cols; k++) {
    const a = x[xStart + k];
    a0 += w[wStart + k] * a;
    a1 += w[w1 + k] * a;
    a2 += w[w2 + k] * a;
    a3 += w[w3 + k] * a;
  }
  y[yStart] = a0;
  y[yStart + 1] = a1;
  y[yStart + 2] = a2;
  y[yStart + 3] = a3;
}

function dot(x: Float32Array, xStart: number, w: Float32Array, wStart: number, cols: number): number {
  let sum = 0;
  for (let k = 0; k < cols; k++) sum += w[wStart + k] * x[xStart + k];
  return sum;
}
