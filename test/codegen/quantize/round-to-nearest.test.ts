import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { openCheckpoint } from '../../../codegen/checkpoint/open.js';
import { buildGraph } from '../../../codegen/graph/build.js';
import { type FormatName, formatNames, formats } from '../../../codegen/quantize/format.js';
import { dequantizeRow, type QuantizedMatrix, rowScale } from '../../../codegen/quantize/matrix.js';
import { roundToNearest } from '../../../codegen/quantize/round-to-nearest.js';
import { root } from '../../templates/c-compiler.js';
import { expectError } from '../checkpoint/expect-error.js';

function quantize(weights: Float32Array, rows: number, format: FormatName, groupSize = 32): QuantizedMatrix {
  const columns = weights.length / rows;
  const read = (first: number, count: number) => weights.subarray(first * columns, (first + count) * columns);
  return roundToNearest({ name: 'm', rows, columns, read }, format, groupSize);
}

function dequantize(matrix: QuantizedMatrix, row: number): Float32Array {
  const out = new Float32Array(matrix.columns);
  dequantizeRow(matrix, row, out);
  return out;
}

/** Rows of weights whose sizes differ by orders of magnitude from group to group. */
const weightRows = fc
  .array(
    fc.tuple(
      fc.integer({ min: -12, max: 0 }),
      fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 1, maxLength: 32 }),
    ),
    {
      minLength: 1,
      maxLength: 4,
    },
  )
  .map((groups) =>
    Float32Array.from(
      groups.flatMap(([power, values], i) => {
        const full = i < groups.length - 1 ? 32 : values.length; // ragged at the end
        return Array.from({ length: full }, (_, j) => values[j % values.length]! * 2 ** power);
      }),
    ),
  );
const options = { numRuns: 1000, seed: 6 };

t.test('plain formats err by at most half a step, and their grid ends at the largest weight', async () => {
  const plain = formatNames.filter((name) => !formats[name].grouped);
  fc.assert(
    fc.property(fc.constantFrom(...plain), weightRows, (format, weights) => {
      const matrix = quantize(weights, 1, format);
      const max = Math.max(...weights.map(Math.abs));
      if (max === 0) return matrix.mantissas[0] === 0 && matrix.integers.every((q) => q === 0);
      const step = rowScale(matrix, 0);
      const values = dequantize(matrix, 0);
      const end = step * formats[format].max;
      const near = weights.every((w, i) => Math.abs(values[i]! - w) <= step * 0.500001);
      return near && end >= max * (1 - 2 ** -30) && end <= max * (1 + 2 ** -10);
    }),
    options,
  );
});

/** Whether every weight of a group is as near as docs/arithmetic.md, section 4, says. */
function groupIsNear(
  format: FormatName,
  weights: Float32Array,
  matrix: QuantizedMatrix,
  group: number,
): boolean {
  const { min } = formats[format];
  const unit = rowScale(matrix, 0);
  const k = matrix.subScales![group]!;
  const values = dequantize(matrix, 0).subarray(group * 32, (group + 1) * 32);
  const own = weights.subarray(group * 32, (group + 1) * 32);
  const extreme = own.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a), 0);
  if (k === 0) return extreme === 0;
  const step = Math.abs(k) * unit;
  const reach = step * -min; // what the integer min stands for, with the sign of the extreme
  return own.every((w, i) => {
    const error = Math.abs(values[i]! - w);
    const sameSide = w === 0 || Math.sign(w) === Math.sign(extreme);
    const end = sameSide ? reach : reach - step;
    return error <= Math.max(step / 2, Math.abs(w) - end) * 1.00001;
  });
}

t.test('grouped formats err by at most half a step, or by what lies beyond the grid', async () => {
  const grouped = formatNames.filter((name) => formats[name].grouped);
  fc.assert(
    fc.property(fc.constantFrom(...grouped), weightRows, (format, weights) => {
      const matrix = quantize(weights, 1, format);
      return Array.from(matrix.subScales!, (_, group) => groupIsNear(format, weights, matrix, group)).every(
        Boolean,
      );
    }),
    options,
  );
});

t.test('the extreme of the row is the end of the grid, whatever its sign', async (t) => {
  for (const format of ['w4', 'w5', 'w6'] as const) {
    for (const sign of [1, -1]) {
      const weights = Float32Array.from(
        { length: 64 },
        (_, i) => sign * (i === 40 ? 0.75 : (i % 7) / 16 - 0.2),
      );
      const matrix = quantize(weights, 1, format);
      t.equal(matrix.integers[40], formats[format].min);
      t.equal(matrix.subScales![1], -127 * sign);
      t.ok(Math.abs(dequantize(matrix, 0)[40]! - weights[40]!) <= 2 ** -10 * 0.75);
    }
  }
});

t.test('group sizes 64 and 128 are stored as equal sub-scales', async (t) => {
  const weights = Float32Array.from({ length: 300 }, (_, i) => Math.sin(i) * (1 + Math.floor(i / 32)));
  const distinct = (groupSize: number) => {
    const k = [...quantize(weights, 1, 'w4', groupSize).subScales!];
    const per = groupSize / 32;
    t.ok(
      k.every((value, i) => value === k[i - (i % per)]),
      `groups of ${groupSize}`,
    );
    return new Set(k).size;
  };
  t.ok(distinct(32) > distinct(64) && distinct(64) > distinct(128));
});

t.test('rows and groups of zeros', async (t) => {
  for (const format of formatNames) {
    const weights = new Float32Array(3 * 70);
    weights.fill(0.5, 70, 75);
    const matrix = quantize(weights, 3, format);
    for (const row of [0, 2])
      t.ok(
        dequantize(matrix, row).every((w) => w === 0),
        `${format} row ${row}`,
      );
    if (format !== 'w8t')
      t.strictSame(
        [...matrix.mantissas].map((m) => m === 0),
        [true, false, true],
      );
    if (formats[format].grouped) t.strictSame([...matrix.subScales!], [0, 0, 0, -127, 0, 0, 0, 0, 0]);
  }
  t.ok(quantize(new Float32Array(8), 2, 'w8t').mantissas.every((m) => m === 0));
});

t.test('w8t has one scale, w8 one a row', async (t) => {
  const weights = Float32Array.from({ length: 600 * 4 }, (_, i) => (i === 2000 ? -3 : Math.cos(i) / 4));
  const perTensor = quantize(weights, 600, 'w8t');
  t.equal(new Set(perTensor.mantissas).size, 1);
  t.equal(perTensor.integers[2000], -127);
  t.ok(new Set(quantize(weights, 600, 'w8').mantissas).size > 20);
});

t.test('scales that a row multiplier cannot hold are refused', async (t) => {
  expectError(t, 'EM2002', /m, row 0: .*scale 7\.8\d\de\+1[34]/, () =>
    quantize(Float32Array.of(1e16), 1, 'w8'),
  );
  t.doesNotThrow(() => quantize(Float32Array.of(1e-45), 1, 'w16'), 'the smallest float32');
});

t.test(
  'signed sub-scales on the full grid against unsigned ones: relative MSE of w4 on os-nano',
  async (t) => {
    const checkpoint = openCheckpoint(join(root, 'models', 'os-nano'));
    t.teardown(() => checkpoint.close());
    const graph = buildGraph(checkpoint, 16);
    let power = 0;
    let signed = 0;
    let exact = 0;
    const unsigned = [0, 0, 0];
    for (const { name, tensor, rows, columns } of graph.matrices) {
      const read = (first: number, count: number) => checkpoint.readRows(tensor, first, count);
      const matrix = roundToNearest({ name, rows, columns, read }, 'w4');
      const weights = read(0, rows);
      for (let row = 0; row < rows; row++) {
        const own = weights.subarray(row * columns, (row + 1) * columns);
        power += own.reduce((sum, w) => sum + w * w, 0);
        signed += squaredError(own, dequantize(matrix, row));
        exact += squaredError(own, roundExact(own));
        unsignedRules.forEach((rule, i) => {
          unsigned[i]! += squaredError(own, roundUnsigned(own, rule));
        });
      }
    }
    const relative = [signed, exact, ...unsigned].map((error) => (error / power).toFixed(5));
    t.strictSame(
      relative,
      ['0.00738', '0.00738', '0.00840', '0.00899', '0.00873'],
      'the figures of docs/arithmetic.md, section 4',
    );
  },
);

function squaredError(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0);
}

/** Positive scales of a group for the grid -8..7: nothing clipped; the middle of the ends; the far end. */
const unsignedRules: readonly ((group: Float32Array) => number)[] = [
  (group) => group.reduce((max, w) => Math.max(max, w < 0 ? -w / 8 : w / 7), 0),
  (group) => group.reduce((max, w) => Math.max(max, Math.abs(w) / 7.5), 0),
  (group) => group.reduce((max, w) => Math.max(max, Math.abs(w) / 8), 0),
];

/** w4 with real group scales, the extreme at -8. */
function roundExact(row: Float32Array): Float32Array {
  const out = new Float32Array(row.length);
  for (let from = 0; from < row.length; from += 32) {
    const group = row.subarray(from, from + 32);
    const scale = group.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a), 0) / -8;
    if (scale === 0) continue;
    group.forEach((w, i) => {
      out[from + i] = Math.max(-8, Math.min(7, Math.round(w / scale))) * scale;
    });
  }
  return out;
}

/** w4 with sub-scales 1..255 instead of signed ones. */
function roundUnsigned(row: Float32Array, rule: (group: Float32Array) => number): Float32Array {
  const groups = Array.from({ length: Math.ceil(row.length / 32) }, (_, g) =>
    row.subarray(g * 32, (g + 1) * 32),
  );
  const unit = Math.max(...groups.map(rule)) / 255;
  const out = new Float32Array(row.length);
  groups.forEach((group, g) => {
    const scale = Math.max(1, Math.round(rule(group) / unit)) * unit;
    group.forEach((w, i) => {
      out[g * 32 + i] = Math.max(-8, Math.min(7, Math.round(w / scale))) * scale;
    });
  });
  return out;
}
