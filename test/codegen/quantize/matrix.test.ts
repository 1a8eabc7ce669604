import fc from 'fast-check';
import t from 'tap';
import { accumulateRow } from '../../../codegen/ops/linear.js';
import { formatByCode, formatNames, formats, groupsPerRow } from '../../../codegen/quantize/format.js';
import {
  accumulatorBound,
  accumulatorShift,
  allocateMatrix,
  dequantizeRow,
  type QuantizedMatrix,
  quantizedHash,
} from '../../../codegen/quantize/matrix.js';
import { Vectors } from '../arithmetic/vectors.js';
import { randomMatrix } from './random-matrix.js';

const anyFormat = fc.constantFrom(...formatNames);
const shape = fc.record({
  format: anyFormat,
  rows: fc.integer({ min: 1, max: 5 }),
  columns: fc.integer({ min: 1, max: 70 }),
});

/** Activations that make a row's sum as large as any can: 127 with the sign of each weight. */
function worstActivations(matrix: QuantizedMatrix, row: number): Int8Array {
  const groups = groupsPerRow(matrix.columns);
  return Int8Array.from({ length: matrix.columns }, (_, c) => {
    const k = matrix.subScales?.[row * groups + Math.floor(c / 32)] ?? 1;
    return 127 * Math.sign(k * matrix.integers[row * matrix.columns + c]!);
  });
}

t.test('accumulatorBound is reached and never passed', async (t) => {
  fc.assert(
    fc.property(shape, fc.bigInt({ min: 0n, max: 2n ** 32n }), (shape, seed) => {
      const vectors = new Vectors(seed);
      const matrix = randomMatrix(vectors, shape);
      const rows = Array.from({ length: shape.rows }, (_, row) => row);
      const worst = Math.max(...rows.map((row) => accumulateRow(matrix, row, worstActivations(matrix, row))));
      const any = Int8Array.from(vectors.int32s(shape.columns, 7));
      const bound = accumulatorBound(matrix);
      return worst === bound && rows.every((row) => Math.abs(accumulateRow(matrix, row, any)) <= bound);
    }),
    { numRuns: 500, seed: 5 },
  );
  t.equal(accumulatorBound(allocateMatrix('zero', 'w4', 2, 5)), 0);
});

t.test('accumulatorShift brings the bound below 2^31, and drops no more than it must', async (t) => {
  const full = (format: 'w8' | 'w16' | 'w6', columns: number) => {
    const matrix = allocateMatrix('full', format, 1, columns);
    matrix.integers.fill(formats[format].min);
    matrix.subScales?.fill(127);
    return accumulatorShift(matrix);
  };
  t.equal(full('w16', 516), 0);
  t.equal(full('w16', 517), 1, '127 * 32767 * 517 passes 2^31');
  t.equal(full('w16', 8192), 4);
  t.equal(full('w6', 4160), 0);
  t.equal(full('w6', 4192), 1);
  t.equal(full('w8', 133_144), 0, 'the widest w8 row');
  t.equal(full('w8', 133_145), 1);

  // 127 * 270549121 = 2^35 - 1: four bits would leave 2^31 after rounding.
  const edge = allocateMatrix('edge', 'w16', 1, 8257);
  edge.integers.fill(32767);
  edge.integers[0] = 270549121 - 8256 * 32767;
  t.equal(accumulatorBound(edge), 2 ** 35 - 1);
  t.equal(accumulatorShift(edge), 5);
});

t.test('dequantizeRow gives q k S', async (t) => {
  const matrix = allocateMatrix('m', 'w5', 2, 40);
  matrix.integers.fill(-16, 40, 72).fill(3, 72, 80);
  matrix.subScales!.set([0, 0, -127, 5]);
  matrix.mantissas[1] = 2 ** 30;
  matrix.exponents[1] = 37; // S = 127 * 2^-7
  const out = new Float32Array(40);
  dequantizeRow(matrix, 1, out);
  t.equal(out[0], (16 * 127 * 127) / 128);
  t.equal(out[39], (3 * 5 * 127) / 128);
  dequantizeRow(matrix, 0, out);
  t.ok(out.every((w) => w === 0));
});

t.test('quantizedHash depends on everything that is stored and on nothing else', async (t) => {
  const matrix = randomMatrix(new Vectors(1n), { format: 'w4', rows: 2, columns: 33 });
  const hash = (changes: Partial<QuantizedMatrix>) => quantizedHash([{ ...matrix, ...changes }]);
  const plain = hash({});
  t.equal(
    plain,
    '7947ae36f087b57057b372d303218d2c05e0c03cc380b1f40f2a7b360bf1e458',
    'the same on every host',
  );
  const changed = <A extends Int8Array | Int16Array | Int32Array | Uint8Array>(values: A): A => {
    const copy = values.slice() as A;
    copy[copy.length - 1]! ^= 1;
    return copy;
  };
  const others = [
    hash({ name: 'other' }),
    hash({ format: 'w5' }),
    hash({ rows: 1 }),
    hash({ integers: changed(matrix.integers) }),
    hash({ subScales: changed(matrix.subScales!) }),
    hash({ mantissas: changed(matrix.mantissas) }),
    hash({ exponents: changed(matrix.exponents) }),
    quantizedHash([matrix, matrix]),
    quantizedHash([]),
  ];
  t.equal(new Set([plain, ...others]).size, others.length + 1);

  const shifted = new Int8Array(100);
  shifted.set(matrix.integers, 3);
  t.equal(
    hash({ integers: shifted.subarray(3, 3 + matrix.integers.length) }),
    plain,
    'views hash as their content',
  );
});

t.test('formats', async (t) => {
  for (const name of formatNames) {
    const { code, min, max, bits, productsPerInt16 } = formats[name];
    t.equal(formatByCode(code), formats[name]);
    t.ok(max - min < 2 ** bits, `${name} fits its bits`);
    t.equal(productsPerInt16, Math.floor(32767 / (127 * -min)), `${name} products that fit an int16 lane`);
  }
  t.strictSame(
    formatNames.map((name) => formats[name].code),
    [1, 2, 3, 4, 5, 6],
  );
  t.equal(formatByCode(0), undefined);
  t.strictSame([1, 32, 33, 64].map(groupsPerRow), [1, 1, 2, 2]);
});
