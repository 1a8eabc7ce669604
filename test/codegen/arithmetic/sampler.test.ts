/** The sampler against probabilities in float; its identity with em_sample is proved in test/templates/kernels. */
import t from 'tap';
import { Sampler, type SamplerSettings } from '../../../codegen/arithmetic/sampler.js';
import { Vectors } from './vectors.js';

const FRAC = 20;
const settings = (changes: Partial<SamplerSettings>): SamplerSettings => ({
  temperatureQ16: 65536,
  topK: 0,
  topPQ16: 65536,
  seed: 1n,
  ...changes,
});

/** Logits in Q(FRAC). */
const logitsOf = (...values: number[]) => Int32Array.from(values, (v) => Math.round(v * 2 ** FRAC));

/** How often each id comes in so many draws. */
function frequencies(sampler: Sampler, logits: Int32Array, draws: number): number[] {
  const counts = new Array<number>(logits.length).fill(0);
  for (let i = 0; i < draws; i++) counts[sampler.sample(logits, FRAC)]! += 1;
  return counts.map((count) => count / draws);
}

function softmax(values: readonly number[], temperature: number): number[] {
  const exponentials = values.map((v) => Math.exp(v / temperature));
  const total = exponentials.reduce((sum, e) => sum + e, 0);
  return exponentials.map((e) => e / total);
}

t.test('greedy: the largest logit, the lowest id among equals, no draw', async (t) => {
  const sampler = new Sampler(settings({ temperatureQ16: 0 }));
  const { state } = sampler;
  t.equal(sampler.sample(Int32Array.of(3, 9, -1, 9), FRAC), 1);
  t.equal(sampler.sample(Int32Array.of(-2147483647, -2147483647), FRAC), 0);
  t.equal(sampler.state, state);
});

t.test('frequencies are those of the softmax', async (t) => {
  const values = [2, 0.5, 1.25, -1, 2];
  for (const temperature of [0.5, 1, 2.5]) {
    const sampler = new Sampler(settings({ temperatureQ16: temperature * 65536 }));
    const draws = 20_000;
    const seen = frequencies(sampler, logitsOf(...values), draws);
    softmax(values, temperature).forEach((p, id) => {
      const deviation = Math.sqrt((p * (1 - p)) / draws);
      t.ok(Math.abs(seen[id]! - p) < 4.5 * deviation + 2e-4, `id ${id} at temperature ${temperature}`);
    });
  }
});

t.test('top-k leaves the k largest, the lower id among equals', async (t) => {
  const logits = logitsOf(1, 2, 1, 0.9, 2);
  const seen = (topK: number) =>
    frequencies(new Sampler(settings({ topK })), logits, 400).flatMap((f, id) => (f > 0 ? [id] : []));
  t.strictSame(seen(1), [1]);
  t.strictSame(seen(2), [1, 4]);
  t.strictSame(seen(3), [0, 1, 4]);
  t.strictSame(seen(99), [0, 1, 2, 3, 4]);
});

t.test('top-p leaves the smallest set that has the share', async (t) => {
  const logits = logitsOf(Math.log(0.5), Math.log(0.3), Math.log(0.2));
  const seen = (share: number) =>
    frequencies(new Sampler(settings({ topPQ16: Math.round(share * 65536) })), logits, 400).filter(
      (f) => f > 0,
    ).length;
  t.equal(seen(0.4), 1);
  t.equal(seen(0.6), 2);
  t.equal(seen(0.9), 3);
  t.equal(seen(0), 3, '0 counts as no limit');
  t.equal(seen(2 ** -16), 1, 'one token stays');
  t.throws(() => new Sampler(settings({ topPQ16: 65537 })), RangeError);
});

t.test('the same seed gives the same ids', async (t) => {
  const logits = new Vectors(9n).int32s(500, 22);
  const draw = (seed: bigint) => {
    const sampler = new Sampler(settings({ seed }));
    return Array.from({ length: 20 }, () => sampler.sample(logits, FRAC));
  };
  t.strictSame(draw(5n), draw(5n));
  t.strictSame(draw(5n), draw(5n + 2n ** 64n), 'seeds count modulo 2^64');
  t.strictNotSame(draw(5n), draw(6n));
});
