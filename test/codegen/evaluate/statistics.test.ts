import fc from 'fast-check';
import t, { type Test } from 'tap';
import { Pcg32 } from '../../../codegen/arithmetic/pcg32.js';
import { type Block, bootstrapUpperBound } from '../../../codegen/evaluate/bootstrap.js';
import { exponential } from '../../../codegen/evaluate/exponential.js';
import { LogitComparison } from '../../../codegen/evaluate/logit-comparison.js';
import { quantile } from '../../../codegen/evaluate/quantile.js';
import { createValidation, type Validation } from '../../../codegen/evaluate/statistics.js';

const threshold = 0.02;

function close(t: Test, found: number | null, expected: number, tolerance: number, what: string): void {
  t.ok(found !== null && Math.abs(found - expected) <= tolerance, `${what}: ${found}, expected ${expected}`);
}

/**
 * Adds a position of two tokens whose nll is ln 2 for the reference and ln 2 + difference for the quantized
 * model.
 */
function addDifference(validation: Validation, window: number, difference: number): void {
  const logit = -Math.log(2 * Math.exp(difference) - 1);
  validation.add(window, Float64Array.of(0, 0), Float64Array.of(logit, 0), 0);
}

/** Standard normal numbers by Box and Muller. */
function* normals(seed: bigint): Generator<number, never> {
  const generator = new Pcg32(seed);
  const uniform = (): number => (generator.nextU32() + 0.5) / 2 ** 32;
  for (;;) yield Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

t.test('one position by hand', async (t) => {
  const comparison = new LogitComparison();
  // p0 = (1/2, 1/2), p = (3/4, 1/4)
  const even = Float32Array.of(5, 5);
  const uneven = Float64Array.of(Math.log(3) - 40, -40);
  const first = comparison.compare(even, uneven, 0);
  close(t, first.nllReference, Math.log(2), 1e-15, 'nll of the reference');
  close(t, first.nllQuantized, Math.log(4 / 3), 1e-13, 'nll of the quantized model');
  close(t, first.divergence, 0.5 * Math.log(4 / 3), 1e-13, 'divergence');
  t.equal(first.sameTop, true, 'of equals the lowest id');
  t.equal(comparison.compare(even, Float64Array.of(0, 1), 1).sameTop, false);
  close(t, comparison.compare(even, uneven, 1).nllQuantized, Math.log(4), 1e-13, 'nll of the other token');

  // p0 = (1/2, 1/4, 1/4), p = (1/4, 1/4, 1/2): another size of vocabulary, logits as integers
  const reference = { values: Int32Array.of(1, 0, 0), scale: Math.LN2 };
  const quantized = { values: Int32Array.of(-1, -1, 0), scale: Math.LN2 };
  const second = comparison.compare(reference, quantized, 2);
  close(t, second.nllReference, Math.log(4), 1e-15, 'nll of the reference');
  close(t, second.nllQuantized, Math.log(2), 1e-15, 'nll of the quantized model');
  close(t, second.divergence, 0.25 * Math.LN2, 1e-15, 'divergence');
  t.equal(second.sameTop, false);
});

t.test('log-softmax and divergence follow their definitions', async (t) => {
  const comparison = new LogitComparison();
  const logits = fc.integer({ min: 1, max: 40 }).chain((size) => {
    const values = fc.float64Array({ min: -300, max: 300, noNaN: true, minLength: size, maxLength: size });
    return fc.tuple(values, values, fc.nat({ max: size - 1 }));
  });
  const logSoftmax = (values: Float64Array): Float64Array => {
    const top = Math.max(...values);
    const sum = values.reduce((total, value) => total + Math.exp(value - top), 0);
    return values.map((value) => value - top - Math.log(sum));
  };
  fc.assert(
    fc.property(logits, ([reference, quantized, target]) => {
      const found = comparison.compare(reference, quantized, target);
      const lnP0 = logSoftmax(reference);
      const lnP = logSoftmax(quantized);
      const divergence = lnP0.reduce((sum, value, v) => sum + Math.exp(value) * (value - lnP[v]), 0);
      const near = (a: number, b: number): boolean => Math.abs(a - b) <= 1e-11;
      return (
        near(found.nllReference, -lnP0[target]) &&
        near(found.nllQuantized, -lnP[target]) &&
        near(found.divergence, divergence) &&
        found.divergence >= 0
      );
    }),
    { seed: 1, numRuns: 500 },
  );
  t.pass('for all examples');
});

t.test('huge logits and integers with a scale', async (t) => {
  const comparison = new LogitComparison();
  const far = comparison.compare(Float32Array.of(3e38, -3e38), Float32Array.of(3e38, -3e38), 0);
  t.same(far, { nllReference: 0, nllQuantized: 0, divergence: 0, sameTop: true });

  const values = Int32Array.of(2 ** 31 - 1, 5, -(2 ** 31), 2 ** 31 - 900);
  const floats = Float64Array.from(values, (value) => value * 2 ** -8);
  const reference = Float32Array.of(1, 2, -3, 0.5);
  t.same(
    comparison.compare(reference, { values, scale: 2 ** -8 }, 3),
    comparison.compare(reference, floats, 3),
  );
});

t.test('logits that cannot be compared are refused', async (t) => {
  const comparison = new LogitComparison();
  const sound = Float64Array.of(1, 2, 3);
  const refuse = (reference: Float64Array, quantized: Float64Array, target: number, why: RegExp): void => {
    t.throws(() => comparison.compare(reference, quantized, target), { code: 'EM2010', why });
  };
  refuse(sound, Float64Array.of(1, 2), 0, /3 reference logits, 2 quantized/);
  for (const target of [3, -1, 0.5, Number.NaN]) refuse(sound, sound, target, /target id/);
  refuse(new Float64Array(0), new Float64Array(0), 0, /target id 0 with 0 logits/);
  for (const value of [Number.NaN, Infinity, -Infinity]) {
    for (const place of [0, 1, 2]) {
      const broken = sound.with(place, value);
      refuse(sound, broken, 0, /not a finite number/);
      refuse(broken, sound, 0, /not a finite number/);
      refuse(broken, broken, 0, /not a finite number/);
    }
  }
  for (const scale of [0, -1, Number.NaN, Infinity]) {
    const scaled = { values: Int32Array.of(1, 2, 3), scale };
    t.throws(() => comparison.compare(sound, scaled, 0), { code: 'EM2010', why: /scale/ });
  }
});

t.test('the exponential is right to 2 units in the last place', async (t) => {
  const generator = new Pcg32(3n);
  let worst = 0;
  for (let i = 0; i < 100_000; i++) {
    const x = -(generator.nextU32() / 2 ** 32) * [1, 20, 708][i % 3];
    worst = Math.max(worst, Math.abs(exponential(x) / Math.exp(x) - 1));
  }
  // Math.exp itself is off by up to one unit.
  t.ok(worst <= 3 * 2 ** -53 * 2, `${worst}`);
  t.equal(exponential(0), 1);
  t.equal(exponential(-0), 1);
  close(t, exponential(-708) / Math.exp(-708), 1, 1e-15, 'at the lower end');
  t.equal(exponential(-709), 0);
  t.equal(exponential(-Infinity), 0);
  t.ok(Number.isNaN(exponential(Number.NaN)));
});

t.test('quantiles', async (t) => {
  const sorted = Float64Array.of(1, 2, 4, 8);
  t.equal(quantile(sorted, 0), 1);
  t.equal(quantile(sorted, 0.5), 3);
  t.equal(quantile(sorted, 0.75), 5);
  t.equal(quantile(sorted, 1), 8);
  t.equal(quantile(Float64Array.of(7), 0.99), 7);
});

t.test('a report by hand', async (t) => {
  const validation = createValidation();
  // Differences 0, 0.1 in window 4 and 0.2 in window 1.
  addDifference(validation, 4, 0);
  addDifference(validation, 1, 0.2);
  addDifference(validation, 4, 0.1);
  const report = validation.report({ threshold });
  t.equal(report.windows, 2);
  t.equal(report.tokens, 3);
  close(t, report.reference.nll, Math.LN2, 1e-15, 'nll');
  close(t, report.reference.perplexity, 2, 1e-14, 'perplexity');
  close(t, report.quantized.nll, Math.LN2 + 0.1, 1e-15, 'quantized nll');
  close(t, report.quantized.perplexity, 2 * Math.exp(0.1), 1e-14, 'quantized perplexity');
  close(t, report.lnRatio.mean, 0.1, 1e-15, 'ln ratio');
  // Variance (0.01 + 0 + 0.01) / 2, over three positions.
  close(t, report.lnRatio.standardError, Math.sqrt(0.01 / 3), 1e-15, 'its standard error');
  // Resamples draw windows (4 4), (4 1), (1 4), (1 1): a quarter of the means is 0.2, so the 95th percentile is.
  close(t, report.lnRatio.upper95, 0.2, 1e-15, 'its bound');
  t.equal(report.accepted, null);

  // -1/2 ln(4 p (1 - p)) with p = e^-d / 2
  const divergence = (d: number): number => -0.5 * Math.log(Math.exp(-d) * (2 - Math.exp(-d)));
  const divergences = [0, divergence(0.1), divergence(0.2)];
  const mean = (divergences[1] + divergences[2]) / 3;
  const squares = divergences.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  close(t, report.kld.mean, mean, 1e-15, 'kld');
  close(t, report.kld.standardError, Math.sqrt(squares / 6), 1e-15, 'its standard error');
  close(t, report.kld.median, divergences[1], 1e-15, 'its median');
  close(t, report.kld.p95, 0.1 * divergences[1] + 0.9 * divergences[2], 1e-15, 'p95');
  close(t, report.kld.p99, 0.02 * divergences[1] + 0.98 * divergences[2], 1e-15, 'p99');
  close(t, report.kld.p999, 0.002 * divergences[1] + 0.998 * divergences[2], 1e-15, 'p999');
  close(t, report.kld.max, divergences[2], 1e-15, 'max');
  // A larger nll of token 0 makes token 1 the quantized model's first choice.
  close(t, report.sameTop.fraction, 1 / 3, 1e-15, 'same top');
  close(t, report.sameTop.standardError, Math.sqrt(2) / Math.sqrt(27), 1e-15, 'its standard error');
});

t.test('what too few positions determine is null', async (t) => {
  const validation = createValidation();
  t.throws(() => validation.report({ threshold }), { code: 'EM2011' });
  addDifference(validation, 0, 0.5);
  const { lnRatio, kld } = validation.report({ threshold });
  t.equal(lnRatio.standardError, null);
  t.equal(lnRatio.upper95, null);
  t.equal(kld.standardError, null);
  addDifference(validation, 0, 0.5);
  t.equal(validation.report({ threshold }).lnRatio.standardError, 0);
});

t.test('acceptance', async (t) => {
  const accepted = (windows: number, difference: (window: number) => number): boolean | null => {
    const validation = createValidation();
    for (let window = 0; window < windows; window++) addDifference(validation, window, difference(window));
    return validation.report({ threshold }).accepted;
  };
  t.equal(
    accepted(31, () => 0),
    null,
    '31 windows certify nothing',
  );
  t.equal(
    accepted(32, () => 0),
    true,
  );
  t.equal(
    accepted(32, () => Math.log(1.0199)),
    true,
  );
  t.equal(
    accepted(32, () => Math.log(1.0201)),
    false,
  );
  // The mean is 1 %, but its bound is 0.01 + 1.645 * 0.1 / sqrt(32) = 3.9 %.
  t.equal(
    accepted(32, (window) => (window % 2 === 0 ? 0.11 : -0.09)),
    false,
    'the bound counts, not the mean',
  );
});

t.test('the bootstrap agrees with the normal approximation', async (t) => {
  const random = normals(11n);
  const validation = createValidation();
  const windowMeans: number[] = [];
  for (let window = 0; window < 300; window++) {
    // Positions of a window share a part: they are far from independent.
    const shared = 0.05 * random.next().value;
    let sum = 0;
    for (let position = 0; position < 20; position++) {
      const difference = 0.01 + shared + 0.05 * random.next().value;
      addDifference(validation, window, difference);
      sum += difference;
    }
    windowMeans.push(sum / 20);
  }
  const mean = windowMeans.reduce((sum, value) => sum + value, 0) / 300;
  const variance = windowMeans.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 300;
  const blockError = Math.sqrt(variance / 300);
  const { lnRatio } = validation.report({ threshold });
  close(t, lnRatio.mean, mean, 1e-12, 'mean');
  close(t, lnRatio.upper95, mean + 1.6449 * blockError, 0.1 * blockError, 'upper bound');
  t.ok(blockError > 2.5 * (lnRatio.standardError ?? Infinity), 'independence of positions would be too sure');
  t.same(validation.report({ threshold }).lnRatio, lnRatio, 'reproducible');
  const other = validation.report({ threshold, seed: 1n }).lnRatio.upper95;
  t.not(other, lnRatio.upper95, 'another seed, another sample of the same distribution');
  close(t, other, lnRatio.upper95 ?? Number.NaN, 0.1 * blockError, 'which is close');
});

t.test('the upper bound covers the true mean in about 95 of 100 samples', async (t) => {
  const random = normals(12n);
  let covered = 0;
  for (let sample = 0; sample < 400; sample++) {
    const blocks = Array.from({ length: 64 }, (_, index): Block => {
      const count = index === 63 ? 2 : 5; // the last window of a text is shorter
      let sum = 0;
      for (let position = 0; position < count; position++) sum += random.next().value;
      return { sum, count };
    });
    if (bootstrapUpperBound(blocks, 0.95, { resamples: 400, seed: BigInt(sample) }) >= 0) covered++;
  }
  // sqrt(0.95 * 0.05 / 400) = 0.011; the percentile method is slightly short with 64 blocks.
  t.ok(covered / 400 > 0.91 && covered / 400 < 0.98, `${covered} of 400`);
});

t.test('merging what workers evaluated gives the report of one pass', async (t) => {
  const position = fc.tuple(
    fc.nat({ max: 6 }),
    fc.float64Array({ minLength: 8, maxLength: 8, min: -9, max: 9, noNaN: true }),
  );
  fc.assert(
    fc.property(
      fc.array(position, { minLength: 1, maxLength: 40 }),
      fc.array(fc.nat({ max: 2 }), { minLength: 7, maxLength: 7 }),
      fc.boolean(),
      (positions, workerOfWindow, reversed) => {
        const whole = createValidation();
        const workers = [createValidation(), createValidation(), createValidation()];
        for (const [window, logits] of positions) {
          for (const validation of [whole, workers[workerOfWindow[window]]]) {
            validation.add(window, logits.subarray(0, 4), logits.subarray(4), 2);
          }
        }
        const merged = createValidation();
        for (const worker of reversed ? workers.reverse() : workers)
          merged.merge(structuredClone(worker.data()));
        const options = { threshold, resamples: 50 };
        t.same(merged.data(), whole.data());
        t.same(merged.report(options), whole.report(options));
      },
    ),
    { seed: 4, numRuns: 50 },
  );
});

t.test('a window is evaluated once', async (t) => {
  const worker = createValidation();
  addDifference(worker, 3, 0);
  const validation = createValidation();
  addDifference(validation, 3, 0);
  t.throws(() => validation.merge(worker.data()), /window 3 was evaluated twice/);
  const merged = createValidation();
  merged.merge(worker.data());
  t.throws(() => merged.merge(worker.data()), /window 3 was evaluated twice/);
  t.throws(() => addDifference(merged, 3, 0), /window 3 was evaluated elsewhere/);
});
