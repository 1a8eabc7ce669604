import fc from 'fast-check';
import t from 'tap';
import { allocateMatrix, dequantizeMatrix, rowScale } from '../../../codegen/quantize/matrix.js';
import { roundToNearest } from '../../../codegen/quantize/round-to-nearest.js';
import {
  dropVanishingRows,
  leastExponent,
  ROW_MANTISSA_UNIT,
  rowMultiplierOf,
  setRowScale,
} from '../../../codegen/quantize/row-scale.js';

const scales = fc.double({ min: 2 ** -100, max: 2 ** 20, noNaN: true });

t.test('a scale is stored as the next one of 11 bits that is not below it', async () => {
  const matrix = allocateMatrix('m', 'w8', 1, 1);
  fc.assert(
    fc.property(scales, (scale) => {
      const stored = setRowScale(matrix, 0, scale);
      const units = matrix.mantissas[0]! / ROW_MANTISSA_UNIT;
      const isStored = Number.isInteger(units) && units >= 1024 && units < 2048;
      // The mantissa of 31 bits that is rounded up is the nearest itself.
      return (
        isStored &&
        stored === rowScale(matrix, 0) &&
        stored >= scale * (1 - 2 ** -30) &&
        stored <= scale * (1 + 2 ** -10)
      );
    }),
    { numRuns: 2000, seed: 3 },
  );
});

t.test('or as the nearest, also across a power of two', async (t) => {
  fc.assert(
    fc.property(scales, (real) => {
      const { mantissa, exponent } = rowMultiplierOf(real);
      const error = Math.abs(mantissa * 2 ** -exponent - real);
      return mantissa >= 2 ** 30 && mantissa < 2 ** 31 && error <= real * 2 ** -11 * (1 + 2 ** -18);
    }),
    { numRuns: 2000, seed: 4 },
  );
  t.same(rowMultiplierOf(2047.75 * 2 ** -40), { mantissa: 2 ** 30, exponent: 59 });
  t.same(rowMultiplierOf(2047.25 * 2 ** -40), { mantissa: 2047 * ROW_MANTISSA_UNIT, exponent: 60 });
  t.same(rowMultiplierOf(0), { mantissa: 0, exponent: 0 });
});

t.test('rows that are next to nothing beside others become zeros', async (t) => {
  const rows = [1, 2 ** -20, 2 ** -30, 2 ** -31, 0, 1e-38];
  for (const format of ['w8', 'w4'] as const) {
    const weights = Float32Array.from(
      rows.flatMap((scale) => Array.from({ length: 40 }, (_, c) => scale * Math.cos(c))),
    );
    const source = {
      name: 'm',
      rows: rows.length,
      columns: 40,
      read: (first: number, count: number) => weights.slice(40 * first, 40 * (first + count)),
    };
    const matrix = roundToNearest(source, format);
    t.same(
      [...matrix.mantissas].map((mantissa) => mantissa !== 0),
      [true, true, true, false, false, false],
    );
    const values = dequantizeMatrix(matrix);
    t.ok(values.subarray(80, 120).some((value) => value !== 0));
    t.ok(values.subarray(120).every((value) => value === 0));
    t.ok(
      [...matrix.exponents].every(
        (exponent, row) => matrix.mantissas[row] === 0 || exponent - leastExponent(matrix) <= 30,
      ),
    );
    const again = structuredClone(matrix);
    dropVanishingRows(again);
    t.same(again, matrix, 'once is enough');
  }
  const tiny = roundToNearest(
    { name: 'm', rows: 1, columns: 2, read: () => Float32Array.of(1e-38, -1e-38) },
    'w8',
  );
  t.same([...tiny.integers], [127, -127], 'small weights alone are what they are');
});
