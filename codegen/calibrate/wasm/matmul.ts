/*
 * y = x w^T in float32 on WebAssembly SIMD. AssemblyScript, compiled by scripts/build-wasm.mjs; tsc does not
 * see it.
 *
 * Both operands are read along k, so a tile keeps 4 rows x 2 tokens as eight f32x4 sums: lane l of a sum
 * takes the products with k = l (mod 4). Eight sums, two activations and the weights in passing fit 16 vector
 * registers. Every sum is formed in the same order in every tile below, so y[t][r] does not depend on the
 * tile it fell into, nor on how many tokens or rows the caller asked for at once.
 */

/** Tokens whose activations stay in L2 while all the rows pass by (with 512 columns in a block: 128 KiB). */
const TOKEN_BLOCK: usize = 64;
const FLOAT: usize = sizeof<f32>();

/** The four numbers (v[0] + v[1]) + (v[2] + v[3]) of a, b, c and d. */
function sumLanes(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 4, 2, 6), v128.shuffle<f32>(a, b, 1, 5, 3, 7));
  const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 4, 2, 6), v128.shuffle<f32>(c, d, 1, 5, 3, 7));
  return f32x4.add(v128.shuffle<f32>(ab, cd, 0, 1, 4, 5), v128.shuffle<f32>(ab, cd, 2, 3, 6, 7));
}

/**
 * Four rows from w, two tokens from x, `columns` products each; added to what y holds unless this is the
 * first block.
 */
function tile4x2(
  y: usize,
  x: usize,
  w: usize,
  columns: usize,
  yStride: usize,
  stride: usize,
  first: bool,
): void {
  let a0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let a2 = f32x4.splat(0);
  let a3 = f32x4.splat(0);
  let b0 = f32x4.splat(0);
  let b1 = f32x4.splat(0);
  let b2 = f32x4.splat(0);
  let b3 = f32x4.splat(0);
  const end = x + columns * FLOAT;
  let x1 = x + stride;
  let w1 = w + stride;
  let w2 = w1 + stride;
  let w3 = w2 + stride;
  for (let x0 = x; x0 < end; x0 += 16) {
    const xa = v128.load(x0);
    const xb = v128.load(x1);
    let row = v128.load(w);
    a0 = f32x4.add(a0, f32x4.mul(row, xa));
    b0 = f32x4.add(b0, f32x4.mul(row, xb));
    row = v128.load(w1);
    a1 = f32x4.add(a1, f32x4.mul(row, xa));
    b1 = f32x4.add(b1, f32x4.mul(row, xb));
    row = v128.load(w2);
    a2 = f32x4.add(a2, f32x4.mul(row, xa));
    b2 = f32x4.add(b2, f32x4.mul(row, xb));
    row = v128.load(w3);
    a3 = f32x4.add(a3, f32x4.mul(row, xa));
    b3 = f32x4.add(b3, f32x4.mul(row, xb));
    x1 += 16;
    w += 16;
    w1 += 16;
    w2 += 16;
    w3 += 16;
  }
  let a = sumLanes(a0, a1, a2, a3);
  let b = sumLanes(b0, b1, b2, b3);
  if (!first) {
    a = f32x4.add(v128.load(y), a);
    b = f32x4.add(v128.load(y + yStride), b);
  }
  v128.store(y, a);
  v128.store(y + yStride, b);
}

/** Four rows, one token. */
function tile4x1(y: usize, x: usize, w: usize, columns: usize, stride: usize, first: bool): void {
  let a0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let a2 = f32x4.splat(0);
  let a3 = f32x4.splat(0);
  const end = x + columns * FLOAT;
  let w1 = w + stride;
  let w2 = w1 + stride;
  let w3 = w2 + stride;
  for (; x < end; x += 16) {
    const xa = v128.load(x);
    a0 = f32x4.add(a0, f32x4.mul(v128.load(w), xa));
    a1 = f32x4.add(a1, f32x4.mul(v128.load(w1), xa));
    a2 = f32x4.add(a2, f32x4.mul(v128.load(w2), xa));
    a3 = f32x4.add(a3, f32x4.mul(v128.load(w3), xa));
    w += 16;
    w1 += 16;
    w2 += 16;
    w3 += 16;
  }
  const a = sumLanes(a0, a1, a2, a3);
  v128.store(y, first ? a : f32x4.add(v128.load(y), a));
}

/**
 * y[t*rows + r] = sum over k of x[t*columns + k] * w[r*columns + k], addresses in bytes, row-major float32.
 * The lanes of a sum are added up after every `columnBlock` columns. Requires: rows, columns and columnBlock
 * multiples of 4 (the caller pads with zeros), addresses multiples of 16.
 */
export function matmul(
  y: usize,
  x: usize,
  w: usize,
  tokens: usize,
  rows: usize,
  columns: usize,
  columnBlock: usize,
): void {
  const stride = columns * FLOAT;
  const yStride = rows * FLOAT;
  for (let tokenBlock: usize = 0; tokenBlock < tokens; tokenBlock += TOKEN_BLOCK) {
    const tokenEnd = min(tokens, tokenBlock + TOKEN_BLOCK);
    for (let k: usize = 0; k < columns; k += columnBlock) {
      const width = min(columnBlock, columns - k);
      const first = k === 0;
      for (let r: usize = 0; r < rows; r += 4) {
        const weights = w + r * stride + k * FLOAT;
        let t = tokenBlock;
        let input = x + t * stride + k * FLOAT;
        let output = y + t * yStride + r * FLOAT;
        for (; t + 2 <= tokenEnd; t += 2) {
          tile4x2(output, input, weights, width, yStride, stride, first);
          input += 2 * stride;
          output += 2 * yStride;
        }
        if (t < tokenEnd) tile4x1(output, input, weights, width, stride, first);
      }
    }
  }
}
