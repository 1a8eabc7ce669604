import fc from 'fast-check';
import t from 'tap';
import { MagnitudeHistogram } from '../../../codegen/calibrate/magnitude-histogram.js';
import {
  divergenceAt,
  InputMagnitudes,
  MagnitudesByRange,
  percentile,
  rangeMethods,
  rangeOf,
  squaredErrorAt,
} from '../../../codegen/calibrate/range-methods.js';
import { randomFloats } from '../quantize/random-weights.js';

/** A histogram of given counts, in bins of width 1. */
function histogramOf(counts: readonly number[]): MagnitudeHistogram {
  const histogram = new MagnitudeHistogram();
  histogram.width = 1;
  counts.forEach((count, bin) => {
    histogram.counts[bin] = count;
  });
  histogram.total = counts.reduce((sum, count) => sum + count, 0);
  histogram.max = counts.length - 0.5;
  return histogram;
}

function seen(...chunks: readonly number[][]): InputMagnitudes {
  const magnitudes = new InputMagnitudes();
  for (const chunk of chunks) magnitudes.add(Float32Array.from(chunk));
  return magnitudes;
}

t.test('a histogram counts every magnitude once, whatever comes first', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 1 }), (values) => {
      const histogram = new MagnitudeHistogram();
      for (const value of values) histogram.add(Float32Array.of(value));
      const max = values.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
      const counted = histogram.counts.reduce((sum, count) => sum + count, 0);
      const inReach = max === 0 || (histogram.used - 1) * histogram.width <= max;
      return counted === values.length && histogram.max === max && inReach;
    }),
  );
  const histogram = new MagnitudeHistogram();
  histogram.add(Float32Array.of(0, 0, 1, -1, 0.5, 4));
  const bin = (v: number) => histogram.counts[Math.min(2047, Math.floor(v / histogram.width))];
  t.same([bin(0), bin(0.5), bin(1), bin(4)], [2, 1, 2, 1]);
});

t.test('min-max, moving average and percentile, by hand', async (t) => {
  const magnitudes = seen([1, -2], [10, 0], [0, 0]);
  t.equal(rangeOf(magnitudes, 'min-max'), 10);
  t.ok(Math.abs(rangeOf(magnitudes, 'moving-average') - 0.9 * (0.9 * 2 + 0.1 * 10)) < 1e-12);
  const counts = histogramOf([90, 9, 0, 0, 0, 0, 0, 1]);
  t.equal(percentile(counts, 0.9), 1);
  t.equal(percentile(counts, 0.99), 2);
  t.equal(percentile(counts, 1), 7.5, 'at most the largest magnitude');
});

t.test('squared error and divergence, by hand', async (t) => {
  const counts = histogramOf([8, 4, 0, 4]);
  // Two bins: 12 values are rounded to steps of 2/127 bins, 4 lie 1.5 bins beyond.
  t.ok(Math.abs(squaredErrorAt(counts, 2) - (12 * (2 / 127) ** 2) / 12 / 16 - (4 * 1.5 ** 2) / 16) < 1e-12);
  t.ok(Math.abs(squaredErrorAt(counts, 4) - (4 / 127) ** 2 / 12) < 1e-12);
  // Nothing is merged below 128 bins: only what is clipped differs. P = (8, 8) / 16, Q = (8, 4) / 12.
  const expected = 0.5 * Math.log(0.5 / (8 / 12)) + 0.5 * Math.log(0.5 / (4 / 12));
  t.ok(Math.abs(divergenceAt(counts, 2) - expected) < 1e-12);
  t.equal(divergenceAt(counts, 4), 0);
});

t.test('one outlier among many values: methods that look at errors clip it, min-max does not', async (t) => {
  const values = randomFloats(20000, 7);
  values[123] = 400;
  const magnitudes = new InputMagnitudes();
  magnitudes.add(values);
  const normal = randomFloats(20000, 7).reduce((max, v) => Math.max(max, Math.abs(v)), 0);
  t.equal(rangeOf(magnitudes, 'min-max'), 400);
  t.equal(rangeOf(magnitudes, 'moving-average'), 400);
  for (const method of ['percentile', 'kl'] as const) {
    const range = rangeOf(magnitudes, method);
    t.ok(
      range > normal / 3 && range < 1.1 * normal + 2 * magnitudes.histogram.width * 128,
      `${method}: ${range}`,
    );
  }
  // The range whose error over these very values is least, found by trying.
  const errorOf = (range: number) =>
    values.reduce((sum, v) => {
      const q = Math.max(-127, Math.min(127, Math.round((127 * v) / range)));
      return sum + ((q * range) / 127 - v) ** 2;
    }, 0);
  const chosen = errorOf(rangeOf(magnitudes, 'mse'));
  const least = Array.from({ length: 100 }, (_, i) => errorOf(4 * (i + 1))).reduce((a, b) => Math.min(a, b));
  t.ok(chosen <= 1.02 * least, `mse: ${chosen}, at best ${least}`);
});

t.test('values that are all zero have range 0; ranges are kept apart', async (t) => {
  for (const method of rangeMethods) t.equal(rangeOf(seen([0, 0]), method), 0);
  const all = new MagnitudesByRange();
  all.add('a', Float32Array.of(1));
  all.add('b', Float32Array.of(-5));
  t.same(
    [...all.ranges('min-max')],
    [
      ['a', 1],
      ['b', 5],
    ],
  );
});
