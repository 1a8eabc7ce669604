import fc from 'fast-check';
import t from 'tap';
import { inverseFactor } from '../../../../codegen/quantize/gptq/inverse-factor.js';
import { randomFloats } from '../random-weights.js';

/** float64[n x n]: X^T X + ridge I of n + 3 random rows. */
function positiveDefinite(n: number, seed: number, ridge: number): Float64Array {
  const x = randomFloats((n + 3) * n, seed);
  const a = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      for (let r = 0; r < n + 3; r++) a[i * n + j] = a[i * n + j]! + x[r * n + i]! * x[r * n + j]!;
    }
    a[i * n + i] = a[i * n + i]! + ridge;
  }
  return a;
}

/** Largest element of U^T U A - I. */
function residual(u: Float64Array, a: Float64Array, n: number): number {
  const product = (p: (i: number, k: number) => number, q: (k: number, j: number) => number) =>
    Float64Array.from({ length: n * n }, (_, at) => {
      let sum = 0;
      for (let k = 0; k < n; k++) sum += p(Math.floor(at / n), k) * q(k, at % n);
      return sum;
    });
  const inverse = product(
    (i, k) => u[k * n + i]!,
    (k, j) => u[k * n + j]!,
  );
  const identity = product(
    (i, k) => inverse[i * n + k]!,
    (k, j) => a[k * n + j]!,
  );
  return identity.reduce((max, v, at) => Math.max(max, Math.abs(v - (at % (n + 1) === 0 ? 1 : 0))), 0);
}

t.test('U is upper triangular and U^T U is the inverse', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.nat(1e6), (n, seed) => {
      const a = positiveDefinite(n, seed, 0.1);
      const u = inverseFactor(a.slice(), n)!;
      const upper = u.every((v, at) => at % n >= Math.floor(at / n) || v === 0);
      return upper && residual(u, a, n) < 1e-8;
    }),
    { numRuns: 60, seed: 3 },
  );
});

t.test('only the upper triangle is read', async (t) => {
  const a = positiveDefinite(9, 1, 1);
  const u = inverseFactor(a.slice(), 9)!;
  t.same(
    inverseFactor(
      a.map((v, at) => (at % 9 < Math.floor(at / 9) ? Number.NaN : v)),
      9,
    ),
    u,
  );
});

t.test('what is not positive definite has no factor', async (t) => {
  t.equal(inverseFactor(Float64Array.of(1, 2, 2, 1), 2), null, 'a negative eigenvalue');
  t.equal(inverseFactor(Float64Array.of(1, 0, 0, 0), 2), null, 'a zero');
  t.equal(inverseFactor(Float64Array.of(1, Number.NaN, Number.NaN, 1), 2), null, 'NaN');
  t.equal(inverseFactor(Float64Array.of(1, 0, 0, Number.POSITIVE_INFINITY), 2), null, 'infinity');
});
