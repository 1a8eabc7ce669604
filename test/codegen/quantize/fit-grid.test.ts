import fc from 'fast-check';
import t from 'tap';
import { fitGrid } from '../../../codegen/quantize/fit-grid.js';
import { formats, GROUP, groupsPerRow } from '../../../codegen/quantize/format.js';
import { allocateMatrix, type QuantizedMatrix, rowScale } from '../../../codegen/quantize/matrix.js';
import { roundToNearest } from '../../../codegen/quantize/round-to-nearest.js';
import { randomFloats } from './random-weights.js';

/** Sum of importance * (w - w rounded to the grid)^2 over a row. */
function roundingError(
  matrix: QuantizedMatrix,
  row: number,
  weights: Float32Array,
  importance: Float64Array,
) {
  const { min, max } = formats[matrix.format];
  let sum = 0;
  for (const [c, w] of weights.entries()) {
    const group = row * groupsPerRow(matrix.columns) + Math.floor(c / GROUP);
    const scale = rowScale(matrix, row) * (matrix.subScales === null ? 1 : matrix.subScales[group]!);
    const q = scale === 0 ? 0 : Math.max(min, Math.min(max, Math.round(w / scale)));
    sum += importance[c]! * (w - q * scale) ** 2;
  }
  return sum;
}

const cases = fc.record({
  format: fc.constantFrom('w4', 'w5', 'w6', 'w8'),
  columns: fc.integer({ min: 1, max: 140 }),
  groupSize: fc.constantFrom(32, 64, 128),
  seed: fc.nat(1e6),
});

t.test(
  'a fitted grid is never much worse than that of the largest value, and better on the whole',
  async (t) => {
    let fitted = 0;
    let plain = 0;
    fc.assert(
      fc.property(cases, ({ format, columns, groupSize, seed }) => {
        const weights = randomFloats(columns, seed);
        const importance = Float64Array.from(randomFloats(columns, seed + 1), (v) => v * v);
        const matrix = allocateMatrix('m', format, 1, columns);
        fitGrid(matrix, 0, weights, groupSize, importance);
        const source = { name: 'm', rows: 1, columns, read: () => weights.slice() };
        const found = roundingError(matrix, 0, weights, importance);
        const usual = roundingError(roundToNearest(source, format, groupSize), 0, weights, importance);
        if (format === 'w4') {
          fitted += found;
          plain += usual;
        }
        // Row scales are found from other values; sub-scales of 8 bits differ by half a step then.
        return found <= 1.1 * usual + 1e-9;
      }),
      { numRuns: 300, seed: 5 },
    );
    t.ok(fitted < 0.8 * plain, `w4: ${(fitted / plain).toFixed(3)} of the squared error`);
  },
);

t.test(
  'sub-scales: one a group, equal over groups of more than 32 columns, the last may be ragged',
  async (t) => {
    const weights = randomFloats(170, 9);
    const of = (groupSize: number) => {
      const matrix = allocateMatrix('m', 'w4', 2, 170);
      fitGrid(matrix, 1, weights, groupSize, null);
      t.same([...matrix.subScales!.subarray(0, 6)], [0, 0, 0, 0, 0, 0], 'other rows are left alone');
      return [...matrix.subScales!.subarray(6)];
    };
    t.equal(new Set(of(32).map(Math.abs)).size > 2, true);
    const [a, b, c, d, e, f] = of(64);
    t.same([a, c, e], [b, d, f]);
    t.equal(new Set(of(128).slice(0, 4)).size, 1);
  },
);

t.test('the important column decides', async (t) => {
  // One value far out: clipped where it does not matter, met where it does.
  const weights = Float32Array.from({ length: 32 }, (_, i) => (i === 5 ? 8 : Math.sin(i) * 2));
  const errorAt5 = (importance: Float64Array) => {
    const matrix = allocateMatrix('m', 'w4', 1, 32);
    fitGrid(matrix, 0, weights, 32, importance);
    const only5 = Float64Array.from({ length: 32 }, (_, i) => (i === 5 ? 1 : 0));
    return roundingError(matrix, 0, weights, only5);
  };
  const with5 = (value: number) => Float64Array.from({ length: 32 }, (_, i) => (i === 5 ? value : 1));
  t.ok(errorAt5(with5(1e6)) < 1e-3);
  t.ok(errorAt5(with5(1e-6)) > 1);
});

t.test('rows and groups of zeros have no scale', async (t) => {
  const matrix = allocateMatrix('m', 'w5', 1, 64);
  fitGrid(matrix, 0, new Float32Array(64), 32, null);
  t.same([matrix.mantissas[0], ...matrix.subScales!], [0, 0, 0]);
  fitGrid(
    matrix,
    0,
    Float32Array.from({ length: 64 }, (_, i) => (i < 32 ? 0 : 1)),
    32,
    null,
  );
  t.equal(matrix.subScales![0], 0);
  t.not(matrix.subScales![1], 0);
});
