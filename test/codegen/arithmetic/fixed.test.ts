import fc from 'fast-check';
import t from 'tap';
import {
  bitLength,
  bitLengthBig,
  INT32_MAX,
  maxMagnitude,
  multiplierOf,
  roundShift,
  saturate,
  scale,
} from '../../../codegen/arithmetic/fixed.js';

/** docs/arithmetic.md, section 1, in BigInt. */
const limit = BigInt(INT32_MAX);
const saturateExact = (v: bigint) => (v > limit ? limit : v < -limit ? -limit : v);
const roundShiftExact = (v: bigint, s: bigint) => (s > 0n ? (v + (1n << (s - 1n))) >> s : v << -s);

const int32 = fc.oneof(
  fc.integer({ min: -INT32_MAX, max: INT32_MAX }),
  fc.tuple(fc.integer({ min: -2, max: 2 }), fc.nat(30)).map(([d, bits]) => d + 2 ** bits),
  fc.constantFrom(0, 1, -1, INT32_MAX, -INT32_MAX),
);
const options = { numRuns: 5000, seed: 1 };

t.test('scale is saturate((a m + 2^(s-1)) >> s) with s clamped to [0, 63]', async (t) => {
  fc.assert(
    fc.property(int32, int32, fc.integer({ min: -10, max: 80 }), (a, m, s) => {
      const clamped = BigInt(Math.max(0, Math.min(63, s)));
      const exact = Number(saturateExact(roundShiftExact(BigInt(a) * BigInt(m), clamped)));
      return Object.is(scale(a, m, s), exact);
    }),
    options,
  );
  t.equal(scale(-1, 1, 1), 0, 'half rounds up, towards plus infinity');
  t.equal(scale(-3, 1, 1), -1);
  t.equal(scale(3, 1, 1), 2);
});

t.test('roundShift is exact below 2^52', async (t) => {
  const value = fc.bigInt({ min: -(2n ** 52n), max: 2n ** 52n });
  fc.assert(
    fc.property(value, fc.integer({ min: -10, max: 52 }), (v, s) => {
      const exact = roundShiftExact(v, BigInt(s));
      if (exact > 2n ** 53n || exact < -(2n ** 53n)) return true;
      return roundShift(Number(v), s) === Number(exact);
    }),
    options,
  );
  t.equal(roundShift(-3, 1), -1);
});

t.test('saturate is symmetric', async (t) => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), (v) => saturate(v) === Number(saturateExact(BigInt(v)))),
    options,
  );
  t.equal(saturate(-(2 ** 31)), -INT32_MAX);
});

t.test('bit lengths', async (t) => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), (v) => {
      const magnitude = Math.abs(v);
      const bits = magnitude.toString(2).length;
      return (
        bitLength(magnitude) === (magnitude === 0 ? 0 : bits) &&
        bitLengthBig(BigInt(magnitude)) === bitLength(magnitude)
      );
    }),
    options,
  );
  const boundaries = [0, 1, 2, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1];
  t.strictSame(boundaries.map(bitLength), [0, 1, 2, 31, 32, 32, 33, 53]);
});

t.test('multiplierOf keeps 31 bits of any positive real', async (t) => {
  const real = fc.tuple(
    fc.double({ min: 1, max: 2, maxExcluded: true, noNaN: true }),
    fc.integer({ min: -500, max: 500 }),
  );
  fc.assert(
    fc.property(real, ([fraction, power]) => {
      const value = fraction * 2 ** power;
      const { mantissa, exponent } = multiplierOf(value);
      const inRange = Number.isInteger(mantissa) && mantissa >= 2 ** 30 && mantissa < 2 ** 31;
      return inRange && Math.abs((mantissa / value) * 2 ** -exponent - 1) <= 2 ** -31;
    }),
    options,
  );
  t.strictSame(multiplierOf(1), { mantissa: 2 ** 30, exponent: 30 });
  t.strictSame(
    multiplierOf(2 - 2 ** -40),
    { mantissa: 2 ** 30, exponent: 29 },
    'a mantissa that rounds up to 2^31',
  );
  t.strictSame(multiplierOf(0), { mantissa: 0, exponent: 0 });
});

t.test('maxMagnitude looks at its part of the vector alone', async (t) => {
  const values = Int32Array.of(-9, 3, -4, 100);
  t.equal(maxMagnitude(values, 1, 2), 4);
  t.equal(maxMagnitude(values), 100);
  t.equal(maxMagnitude(values, 2, 0), 0);
  t.equal(maxMagnitude(Int32Array.of(-INT32_MAX)), INT32_MAX);
});
