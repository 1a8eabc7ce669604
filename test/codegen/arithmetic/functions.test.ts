/** The errors stated in docs/arithmetic.md, section 2, measured over all arguments or a dense scan of them. */
import t, { type Test } from 'tap';
import { INT32_MAX } from '../../../codegen/arithmetic/fixed.js';
import {
  exp2Negative,
  geluGate,
  reciprocalSqrt,
  rotate,
  sigmoid,
} from '../../../codegen/arithmetic/functions.js';
import {
  exactGeluGate,
  exp2Coefficients,
  geluTables,
  rsqrtSeeds,
  sigmoidTable,
} from '../../../codegen/arithmetic/tables.js';

/** Asserts that a measured error is within the bound, and that the bound is not idle. */
function checkBound(t: Test, measured: number, bound: number, what: string): void {
  t.ok(measured <= bound, `${what}: ${measured.toExponential(3)} <= ${bound}`);
  t.ok(measured > bound / 2, `${what}: the stated bound is within twice the measured error`);
}

t.test('reciprocal square root', async (t) => {
  let worst = 0;
  let least = 2 ** 31;
  let most = 0;
  const steps = 1500n; // of each of the 96 seeds
  for (let at = 0n; at <= 96n * steps; at++) {
    const total = at === 96n * steps ? (1n << 62n) - 1n : (1n << 60n) + (at << 55n) / steps;
    const { mantissa, k } = reciprocalSqrt(total);
    if (k !== 0) t.fail(`k is ${k} for ${total}`);
    worst = Math.max(worst, Math.abs((mantissa / 2 ** 61) * Math.sqrt(Number(total)) - 1));
    least = Math.min(least, mantissa);
    most = Math.max(most, mantissa);
  }
  checkBound(t, worst, 2e-8, 'relative error');
  t.ok(least >= 2 ** 30 && most < 2 ** 31, 'mantissa in [2^30, 2^31)');

  for (let bits = 1; bits <= 62; bits++) {
    for (const total of [1n << BigInt(bits - 1), (1n << BigInt(bits)) - 1n]) {
      const { mantissa, k } = reciprocalSqrt(total);
      t.equal(k, Math.floor((62 - bits) / 2));
      const error = mantissa * 2 ** (k - 61) * Math.sqrt(Number(total)) - 1;
      t.ok(Math.abs(error) <= 2e-8, `total ${total}`);
    }
  }
});

t.test('power of two', async (t) => {
  let cubic = 0;
  let relative = 0;
  for (let x = 0; x < 65536; x++) {
    const error = Math.abs(exp2Negative(x) / 2 ** (30 - x / 65536) - 1);
    relative = Math.max(relative, error);
    if (x % 2 === 0) cubic = Math.max(cubic, error);
  }
  checkBound(t, cubic, 1.5e-4, 'relative error of the cubic over all 32768 fractions');
  checkBound(t, relative, 1.6e-4, 'relative error with the fraction cut to 15 bits');

  let absolute = 0;
  for (let x = 0; x < 31 * 65536; x += 3) {
    absolute = Math.max(absolute, Math.abs(exp2Negative(x) / 2 ** 30 - 2 ** (-x / 65536)));
  }
  checkBound(t, absolute, 1.6e-4, 'absolute error');
  t.equal(exp2Negative(0), (2 ** 15 - 1) * 2 ** 15);
  t.strictSame([30 * 65536, 31 * 65536, 2 ** 32 - 1].map(exp2Negative), [0, 0, 0]);
});

t.test('gates of GELU', async (t) => {
  // Published values of the normal distribution function (Abramowitz and Stegun 1964, table 26.1).
  const published: [x: number, p: number][] = [
    [0, 0.5],
    [1, 0.8413447460685429],
    [2, 0.9772498680518208],
    [3, 0.9986501019683699],
    [4, 0.9999683287581669],
  ];
  for (const [x, p] of published) {
    t.ok(Math.abs(exactGeluGate(x, 'erf') - p) < 1e-14, `at ${x}`);
    t.ok(Math.abs(exactGeluGate(-x, 'erf') - (1 - p)) < 1e-14, `at -${x}`);
  }
  for (const form of ['erf', 'tanh'] as const) {
    const errorAt = (value: number, frac: number) =>
      Math.abs(geluGate(value, frac, form) / 2 ** 24 - exactGeluGate(value * 2 ** -frac, form));
    let largest = 0;
    for (let value = -9 * 32768; value <= 9 * 32768; value += 7)
      largest = Math.max(largest, errorAt(value, 15));
    t.ok(largest < 7.6e-6, `${form}, Q15: ${largest.toExponential(2)}`);
    let wide = 0;
    for (let value = -(2 ** 27); value < 2 ** 27; value += 9973) wide = Math.max(wide, errorAt(value, 24));
    t.ok(wide < 2e-5, `${form}, Q24: ${wide.toExponential(2)}`);
    for (const value of [0, 1, 77, 512, 99999, 2 ** 20])
      t.equal(geluGate(value, 15, form) + geluGate(-value, 15, form), 2 ** 24);
    t.equal(geluGate(5, 0, form), geluGate(5 * 2 ** 15, 15, form), 'formats below Q15');
    t.equal(geluGate(INT32_MAX, 0, form), 2 ** 24);
    t.equal(geluTables[form].length, 513);
    t.ok(
      geluTables[form].every((value, i) => i === 0 || value <= geluTables[form][i - 1]!),
      'falls',
    );
  }
});

t.test('sigmoid', async (t) => {
  const errorAt = (value: number, frac: number) =>
    Math.abs(sigmoid(value, frac) / 2 ** 24 - 1 / (1 + Math.exp(-value * 2 ** -frac)));
  let table = 0;
  for (let x = -17 * 32768; x <= 17 * 32768; x++) table = Math.max(table, errorAt(x, 15));
  checkBound(t, table, 1.3e-5, 'absolute error over all Q15 arguments');
  let cut = 0;
  for (let x = -(2 ** 24); x < 2 ** 24; x += 7) cut = Math.max(cut, errorAt(x, 20));
  checkBound(t, cut, 2e-5, 'absolute error of arguments cut to Q15');

  for (const value of [0, 1, 77, 32768, 16 * 32768, INT32_MAX]) {
    t.equal(sigmoid(value, 15) + sigmoid(-value, 15), 2 ** 24, `symmetric at ${value}`);
  }
  t.equal(sigmoid(5, 0), sigmoid(5 * 2 ** 15, 15), 'formats below Q15');
  t.equal(sigmoid(INT32_MAX, 0), 2 ** 24 - 2);
});

t.test('rotation', async (t) => {
  t.strictSame(rotate(3, 5, 16384, 0), [3, 5]);
  t.strictSame(rotate(3, 5, 0, 16384), [-5, 3]);
  t.strictSame(rotate(INT32_MAX, -INT32_MAX, 11585, 11585), [INT32_MAX, 0], 'saturates');
  t.strictSame(rotate(-1, 0, 8192, 8192), [0, 0], 'half rounds up');
  let worst = 0;
  for (let degree = 0; degree < 360; degree++) {
    const angle = (degree * Math.PI) / 180;
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    const [a, b] = rotate(1e9, -5e8, Math.round(cos * 2 ** 14), Math.round(sin * 2 ** 14));
    const error = Math.hypot(a - (1e9 * cos + 5e8 * sin), b - (1e9 * sin - 5e8 * cos));
    worst = Math.max(worst, error / Math.hypot(1e9, 5e8));
  }
  checkBound(t, worst, 2 ** -14.5, 'error relative to the pair: half a unit of Q14 in cosine and sine');
});

t.test('tables have the shapes that the functions index', async (t) => {
  t.equal(rsqrtSeeds.length, 96);
  t.equal(sigmoidTable.length, 513);
  t.equal(sigmoidTable[0], 2 ** 23);
  t.ok(
    sigmoidTable.every((value, i) => i === 0 || value <= sigmoidTable[i - 1]!),
    'sigmoid falls',
  );
  t.strictSame(exp2Coefficients, { c0: 32767, c1: 22640, c2: 7514, c3: 1257 });
});
