import fc from 'fast-check';
import t from 'tap';
import { quantizeVector } from '../../../codegen/arithmetic/activation.js';
import { INT32_MAX } from '../../../codegen/arithmetic/fixed.js';

const vector = fc
  .tuple(
    fc.nat(31),
    fc.array(fc.integer({ min: -INT32_MAX, max: INT32_MAX }), { minLength: 1, maxLength: 70 }),
  )
  .map(([drop, values]) => Int32Array.from(values, (v) => Math.trunc(v / 2 ** drop)));
const options = { numRuns: 3000, seed: 2 };

t.test('integers are in [-127, 127] and the largest magnitude becomes 127', async () => {
  fc.assert(
    fc.property(vector, (values) => {
      const out = new Int8Array(values.length);
      const { mantissa, shift } = quantizeVector(values, 0, values.length, out, 0);
      const max = Math.max(...values.map(Math.abs));
      if (max === 0) return mantissa === 2 ** 29 && shift === 0 && out.every((q) => q === 0);
      const top = Math.max(...out.map(Math.abs));
      const fits = mantissa >= 2 ** 29 && mantissa <= 2 ** 30 && mantissa % 2 ** 15 === 0;
      return fits && top === 127 && shift === max.toString(2).length - 15;
    }),
    options,
  );
});

t.test('what the integers stand for is within (0.504 / 127 + 2^-14) of the largest magnitude', async () => {
  fc.assert(
    fc.property(vector, (values) => {
      const out = new Int8Array(values.length);
      const { mantissa, shift } = quantizeVector(values, 0, values.length, out, 0);
      const max = Math.max(...values.map(Math.abs));
      const unit = (mantissa * 2 ** (shift - 15)) / 127;
      return values.every((v, i) => Math.abs(out[i]! * unit - v) <= max * (0.504 / 127 + 2 ** -14));
    }),
    options,
  );
});

t.test('offsets and counts select a part of both vectors', async (t) => {
  const values = Int32Array.of(INT32_MAX, 4, -8, 2, INT32_MAX);
  const out = new Int8Array(6).fill(99);
  const scale = quantizeVector(values, 1, 3, out, 2);
  t.strictSame([...out], [99, 99, 64, -127, 32, 99], '127 / 2 rounds up');
  t.strictSame(scale, { mantissa: 2 ** 29, shift: 4 - 15 });
});
