/** Turns of one head: what is said of the error is true, and it falls. */
import fc from 'fast-check';
import t from 'tap';
import { fitPairTurns, type HeadSample } from '../../../../codegen/quantize/rotary/fit-pair-turns.js';
import { pairTurns, turnedRows } from '../../../../codegen/quantize/rotary/pair-turns.js';
import { randomFloats } from '../random-weights.js';

/** The formula of the module, on keys and queries that were turned as rows of a projection are. */
function scoreError({ headDim, keys, queryPower }: HeadSample, steps: Int8Array): number {
  const place = {
    ...{ name: 'k', channels: headDim, headDim, shared: 1, keys: [], queries: [] },
    ...{ keyBuffer: 'k', queryBuffer: 'q', layer: 0 },
  };
  const { keys: turns } = pairTurns(place, steps);
  let spread = 0;
  for (let at = 0; at < keys.length; at += headDim) {
    const turned = turnedRows((_, n) => keys.slice(at, at + n), turns, 0, headDim);
    spread += Math.max(...turned.map(Math.abs)) ** 2;
  }
  return spread * queryPower.reduce((sum, power, i) => sum + power / 2 ** (steps[i]! / 8), 0);
}

function sampleOf(headDim: number, tokens: number, seed: number): HeadSample {
  const pairs = headDim / 2;
  const sizes = randomFloats(headDim, seed + 1).map((v) => 2 ** v);
  const constants = randomFloats(headDim, seed + 2).map((v) => 3 * v);
  const keys = randomFloats(tokens * headDim, seed).map(
    (v, i) => v * sizes[i % headDim]! + constants[i % headDim]!,
  );
  const queryPower = Float64Array.from(randomFloats(pairs, seed + 3), (v) => v ** 2 + 0.01);
  return { headDim, keys, queryPower };
}

t.test('the error is what the formula says of the steps, and never more than before', async () => {
  fc.assert(
    fc.property(fc.constantFrom(2, 4, 8, 16), fc.integer({ min: 1, max: 1e6 }), (headDim, seed) => {
      const sample = sampleOf(headDim, 40, seed);
      const { steps, error } = fitPairTurns(sample);
      const share = scoreError(sample, steps) / scoreError(sample, new Int8Array(headDim));
      return error <= 1 && Math.abs(share - error) < 1e-4;
    }),
  );
});

t.test('a constant in one value is divided between both of its pair', async (t) => {
  const keys = Float32Array.from({ length: 400 }, (_, i) => [0, 8, 0, 0][i % 4]!);
  const { steps, error } = fitPairTurns({ headDim: 4, keys, queryPower: Float64Array.of(0, 1) });
  t.equal(steps[3], 64, 'an eighth of a turn');
  t.ok(Math.abs(error - 0.5) < 1e-6, `${error}`);
});

t.test('a small pair that queries look at is scaled up', async (t) => {
  const keys = Float32Array.from({ length: 400 }, (_, i) => [8, 1, 8, 1][i % 4]! * (i % 8 < 4 ? 1 : -1));
  const { steps, error } = fitPairTurns({ headDim: 4, keys, queryPower: Float64Array.of(1, 1) });
  t.equal(steps[1]! - steps[0]!, 48, 'as large as the other');
  t.ok(error < 0.51, `${error}`);
});

t.test('zeros, and values that are no numbers, are left alone', async (t) => {
  for (const value of [0, Number.NaN, Number.POSITIVE_INFINITY]) {
    const keys = new Float32Array(32).fill(value);
    const { error } = fitPairTurns({ headDim: 8, keys, queryPower: new Float64Array(4).fill(1) });
    t.notOk(error < 1, `${value}`);
  }
});
