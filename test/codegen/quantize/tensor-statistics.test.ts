import t from 'tap';
import { OutputErrors, sharesOf, WeightErrors } from '../../../codegen/quantize/tensor-statistics.js';

t.test('errors of weights, by hand', async (t) => {
  const errors = new WeightErrors();
  errors.add(Float32Array.of(1, -2), Float32Array.of(1, -1));
  errors.add(Float32Array.of(3, 0.5), Float32Array.of(2, 0.5));
  const { mse, mae, sqnrDb } = errors.statistics();
  t.equal(mse, 0.5, 'two of four weights are off by one');
  t.equal(mae, 0.5);
  t.ok(Math.abs(sqnrDb! - 8.5278) < 1e-4, '10 log10(14.25 / 2)');
});

t.test('errors of weights at the ends: none, and nothing but error', async (t) => {
  const exact = new WeightErrors();
  exact.add(Float32Array.of(1, 0), Float32Array.of(1, 0));
  t.same(exact.statistics(), { mse: 0, mae: 0, sqnrDb: null });

  const silent = new WeightErrors();
  silent.add(Float32Array.of(0, 0), Float32Array.of(3, -1));
  const { sqnrDb, ...errors } = silent.statistics();
  t.same(errors, { mse: 5, mae: 2 });
  t.ok(sqnrDb! < -1000 && Number.isFinite(sqnrDb), 'a number that JSON can hold');
});

t.test('relative errors of outputs, by hand', async (t) => {
  // X = [[1, 1], [0, 2]], W = [[1, -2], [3, 0.5]], W - Q = [[0, -1], [1, 0]].
  const errors = new OutputErrors();
  errors.add(Float32Array.of(-1, 3.5), Float32Array.of(-1, 1));
  errors.add(Float32Array.of(-4, 1), Float32Array.of(-2, 0));
  t.ok(Math.abs(errors.relative()! - Math.sqrt(6 / 30.25)) < 1e-12);
  const silent = new OutputErrors();
  silent.add(Float32Array.of(0), Float32Array.of(0));
  t.equal(silent.relative(), null, 'nothing to compare with');
});

t.test('shares add up to 1; divergences that are all zero have none', async (t) => {
  const shares = sharesOf(
    new Map([
      ['a', 0.03],
      ['b', 0.01],
    ]),
  );
  t.ok(Math.abs(shares.get('a')! - 0.75) < 1e-12 && Math.abs(shares.get('b')! - 0.25) < 1e-12);
  t.same(sharesOf(new Map([['a', 0]])), new Map([['a', null]]));
});
