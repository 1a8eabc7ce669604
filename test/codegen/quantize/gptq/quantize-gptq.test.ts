import t from 'tap';
import { PlainLinearAlgebra } from '../../../../codegen/calibrate/linear-algebra-plain.js';
import { type FormatName, formats, GROUP, groupsPerRow } from '../../../../codegen/quantize/format.js';
import { Hessian } from '../../../../codegen/quantize/gptq/hessian.js';
import { planSweep, quantizeGptq } from '../../../../codegen/quantize/gptq/quantize-gptq.js';
import { dequantizeMatrix, type QuantizedMatrix, rowScale } from '../../../../codegen/quantize/matrix.js';
import { roundToNearest } from '../../../../codegen/quantize/round-to-nearest.js';
import { correlatedInputs, randomFloats } from '../random-weights.js';

const algebra = new PlainLinearAlgebra();

function hessianOf(inputs: Float32Array, tokens: number, columns: number): Hessian {
  const hessian = new Hessian(columns);
  hessian.add(inputs, tokens, algebra);
  return hessian;
}

const sourceOf = (weights: Float32Array, rows: number, columns: number) => ({
  ...{ name: 'm', rows, columns },
  read: (first: number, count: number) => weights.slice(first * columns, (first + count) * columns),
});

/** Sum of squares of (W - Q) x over all inputs. */
function outputError(matrix: QuantizedMatrix, weights: Float32Array, inputs: Float32Array): number {
  const { rows, columns } = matrix;
  const difference = dequantizeMatrix(matrix).map((q, i) => weights[i]! - q);
  const out = new Float32Array((inputs.length / columns) * rows);
  algebra.matmul(out, inputs, difference, inputs.length / columns, rows, columns);
  return out.reduce((sum, v) => sum + v * v, 0);
}

/** A symmetric positive definite float64[n x n] inverted by Gauss-Jordan elimination. */
function invert(a: Float64Array, n: number): Float64Array {
  const left = a.slice();
  const inverse = Float64Array.from({ length: n * n }, (_, at) => (at % (n + 1) === 0 ? 1 : 0));
  for (let i = 0; i < n; i++) {
    const pivot = left[i * n + i]!;
    for (const m of [left, inverse]) for (let c = 0; c < n; c++) m[i * n + c] = m[i * n + c]! / pivot;
    for (let r = 0; r < n; r++) {
      const factor = left[r * n + i]!;
      if (r === i) continue;
      for (const m of [left, inverse]) {
        for (let c = 0; c < n; c++) m[r * n + c] = m[r * n + c]! - factor * m[i * n + c]!;
      }
    }
  }
  return inverse;
}

/**
 * Integers of one row as the paper defines them (arXiv 2210.17323, equations 2 and 3), in float64 and without blocks or triangular
 * factors: each column is rounded on the grid of `fitted`, and the inverse Hessian, from which the columns that are done are
 * eliminated one by one, says what its error does to the others.
 */
function denseReference(
  fitted: QuantizedMatrix,
  row: number,
  weights: Float32Array,
  damped: Float64Array,
  order: readonly number[],
): number[] {
  const n = fitted.columns;
  const { min, max } = formats[fitted.format];
  const w = Float64Array.from(weights.subarray(row * n, (row + 1) * n));
  const inverse = invert(damped, n);
  const integers = new Array<number>(n).fill(0);
  for (const c of order) {
    const sub =
      fitted.subScales === null ? 1 : fitted.subScales[row * groupsPerRow(n) + Math.floor(c / GROUP)]!;
    const scale = sub * rowScale(fitted, row);
    const q = scale === 0 ? 0 : Math.max(min, Math.min(max, Math.round(w[c]! / scale)));
    integers[c] = q;
    const pivot = inverse[c * n + c]!;
    const error = (w[c]! - q * scale) / pivot;
    const column = Float64Array.from({ length: n }, (_, r) => inverse[r * n + c]!);
    for (let j = 0; j < n; j++) w[j] = w[j]! - error * column[j]!;
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++)
        inverse[i * n + j] = inverse[i * n + j]! - (column[i]! * column[j]!) / pivot;
    }
  }
  return integers;
}

t.test('sums of a Hessian are x x^T over all inputs, in chunks or at once', async (t) => {
  const [tokens, columns] = [1100, 7];
  const inputs = correlatedInputs(tokens, columns, 5);
  const { sums } = hessianOf(inputs, tokens, columns);
  const parts = new Hessian(columns);
  for (const [from, to] of [
    [0, 1],
    [1, 700],
    [700, tokens],
  ] as const) {
    parts.add(inputs.subarray(from * columns, to * columns), to - from, algebra);
  }
  t.equal(parts.tokens, tokens);
  for (let i = 0; i < columns; i++) {
    for (let j = 0; j < columns; j++) {
      let exact = 0;
      let size = 0;
      for (let k = 0; k < tokens; k++) {
        const product = inputs[k * columns + i]! * inputs[k * columns + j]!;
        exact += product;
        size += Math.abs(product);
      }
      for (const found of [sums, parts.sums]) {
        if (Math.abs(found[i * columns + j]! - exact) > 1e-6 * size) t.fail(`${i}, ${j}`);
      }
      if (sums[i * columns + j] !== sums[j * columns + i]) t.fail(`${i}, ${j}: not symmetric`);
    }
  }
});

const shapes: readonly (readonly [FormatName, rows: number, columns: number, groupSize: number])[] = [
  ['w4', 6, 40, 32],
  ['w4', 4, 150, 32],
  ['w5', 4, 70, 64],
  ['w6', 3, 129, 32],
  ['w8', 3, 50, 32],
];

for (const [format, rows, columns, groupSize] of shapes) {
  t.test(`${format}, ${rows} x ${columns}: the integers of the dense reference`, async (t) => {
    const weights = randomFloats(rows * columns, 11);
    const tokens = 3 * columns;
    const hessian = hessianOf(correlatedInputs(tokens, columns, 21), tokens, columns);
    const sweep = planSweep(hessian)!;
    t.equal(sweep.damping, 0.01, 'damped as little as possible');
    const { matrix } = quantizeGptq(sourceOf(weights, rows, columns), sweep, format, groupSize, algebra);

    const diagonal = hessian.diagonal();
    const mean = diagonal.reduce((sum, d) => sum + d, 0) / columns;
    const damped = hessian.sums.map((h, at) => h + (at % (columns + 1) === 0 ? 0.01 * mean : 0));
    const order = [...diagonal.keys()].sort((a, b) => diagonal[b]! - diagonal[a]!);
    let different = 0;
    for (let row = 0; row < rows; row++) {
      const expected = denseReference(matrix, row, weights, damped, order);
      expected.forEach((q, c) => {
        if (matrix.integers[row * columns + c] !== q) different++;
      });
    }
    // A correction that float32 rounds may put a value on the other side of a half.
    t.ok(different <= 0.01 * rows * columns, `${different} of ${rows * columns} integers differ`);
  });
}

t.test('outputs change less than by rounding to nearest, and by what is said', async (t) => {
  const [rows, columns, tokens] = [24, 96, 400];
  const weights = randomFloats(rows * columns, 7);
  const inputs = correlatedInputs(tokens, columns, 8);
  const hessian = hessianOf(inputs, tokens, columns);
  const sweep = planSweep(hessian)!;
  const added = (sweep.damping * hessian.diagonal().reduce((sum, d) => sum + d, 0)) / columns;
  const source = sourceOf(weights, rows, columns);
  for (const format of ['w4', 'w5', 'w6', 'w8'] as const) {
    const gptq = quantizeGptq(source, sweep, format, 32, algebra);
    const found = outputError(gptq.matrix, weights, inputs);
    const nearest = outputError(roundToNearest(source, format), weights, inputs);
    t.ok(found < 0.6 * nearest, `${format}: ${(found / nearest).toFixed(3)} of the squared error`);
    // Damping asks the same of every weight's own change, whatever the inputs.
    const change = dequantizeMatrix(gptq.matrix).reduce((sum, q, i) => sum + (weights[i]! - q) ** 2, 0);
    const exact = found + added * change;
    t.ok(
      Math.abs(gptq.outputError / exact - 1) < 1e-3,
      `${format}: ${gptq.outputError} is said, ${exact} found`,
    );
  }
});

t.test('columns that are never used become zero and cost nothing', async (t) => {
  const [rows, columns, tokens] = [5, 70, 300];
  const unused = [0, 33, 69];
  const inputs = correlatedInputs(tokens, columns, 2).map((x, i) => (unused.includes(i % columns) ? 0 : x));
  // Huge, so that a grid that minded them would have no steps left for the others.
  const weights = randomFloats(rows * columns, 3).map((w, i) => (unused.includes(i % columns) ? 1e4 : w));
  const sweep = planSweep(hessianOf(inputs, tokens, columns))!;
  const { matrix } = quantizeGptq(sourceOf(weights, rows, columns), sweep, 'w6', 32, algebra);
  for (const c of unused) {
    for (let row = 0; row < rows; row++) {
      if (matrix.integers[row * columns + c] !== 0) t.fail(`row ${row}, column ${c}`);
    }
  }
  const total = outputError(
    roundToNearest(sourceOf(new Float32Array(rows * columns), rows, columns), 'w6'),
    weights,
    inputs,
  );
  t.ok(outputError(matrix, weights, inputs) < 1e-3 * total);
});

t.test('a Hessian that is not definite is damped until it can be factored, or refused', async (t) => {
  // Eigenvalues 1 + e and 1 - e of mean diagonal 1: definite once the damping exceeds e - 1.
  const pair = (e: number) => {
    const hessian = new Hessian(2);
    hessian.sums.set([1, e, e, 1]);
    return planSweep(hessian);
  };
  t.equal(pair(0.5)!.damping, 0.01);
  t.equal(pair(1.1)!.damping, 0.16);
  t.equal(pair(3), null);
  t.equal(pair(Number.NaN), null);
  const infinite = new Hessian(1);
  infinite.sums[0] = Number.POSITIVE_INFINITY;
  t.equal(planSweep(infinite), null);
  const silent = new Hessian(3);
  t.same([...planSweep(silent)!.order], [0, 1, 2], 'inputs that are all zero are no obstacle');
});
