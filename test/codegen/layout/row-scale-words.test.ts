import t from 'tap';
import { openRowScales, packRowScales, rowScaleBytes } from '../../../codegen/layout/row-scale-words.js';
import { allocateMatrix } from '../../../codegen/quantize/matrix.js';
import { leastExponent, ROW_MANTISSA_UNIT } from '../../../codegen/quantize/row-scale.js';

/** Rows with the units of their mantissas and their exponents. */
function withRows(...rows: readonly (readonly [units: number, exponent: number])[]) {
  const matrix = allocateMatrix('m', 'w8', rows.length, 1);
  for (const [row, [units, exponent]] of rows.entries()) {
    matrix.mantissas[row] = units * ROW_MANTISSA_UNIT;
    matrix.exponents[row] = exponent;
  }
  return matrix;
}

t.test('11 bits of mantissa, and what the exponent exceeds the least one by', async (t) => {
  const matrix = withRows([1024, 40], [0, 0], [2047, 71], [1026, 41]);
  t.equal(leastExponent(matrix), 40, 'a row of zeros has none');
  const out = new Uint8Array(rowScaleBytes(6));
  packRowScales(matrix, out);
  t.same([...new Uint16Array(out.buffer)], [0x400, 0, 0xffff, 0x402 | (1 << 11), 0, 0]);
  const found = openRowScales(new DataView(out.buffer), 0, 40);
  t.same(
    Array.from({ length: 4 }, (_, row) => [found.mantissa(row) / ROW_MANTISSA_UNIT, found.exponent(row)]),
    [
      [1024, 40],
      [0, 0],
      [2047, 71],
      [1026, 41],
    ],
  );
});

t.test('nothing but zeros', async (t) => {
  const matrix = withRows([0, 0]);
  t.equal(leastExponent(matrix), 0);
  const out = new Uint8Array(rowScaleBytes(1));
  packRowScales(matrix, out);
  t.same([...out], [0, 0]);
});

t.test('what a word cannot say is a mistake of whoever made the matrix', async (t) => {
  const pack = (matrix: ReturnType<typeof withRows>) =>
    packRowScales(matrix, new Uint8Array(rowScaleBytes(2)));
  t.throws(
    () => pack(withRows([1024, 40], [1024, 72])),
    /m, row 1: 1073741824 \* 2\^-72 is no row multiplier/,
  );
  t.throws(() => pack(withRows([1024.5, 40])), /m, row 0: .* is no row multiplier/);
});
