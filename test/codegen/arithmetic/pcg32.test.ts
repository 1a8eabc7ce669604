import fc from 'fast-check';
import t from 'tap';
import { Pcg32 } from '../../../codegen/arithmetic/pcg32.js';

/** The recurrence as the paper writes it, in 64-bit integers. */
function* reference(seed: bigint, stream: bigint): Generator<{ state: bigint; value: number }> {
  const increment = BigInt.asUintN(64, 2n * stream + 1n);
  const step = (state: bigint): bigint => BigInt.asUintN(64, state * 6364136223846793005n + increment);
  let state = step(step(0n) + seed);
  for (;;) {
    const mixed = Number(BigInt.asUintN(32, ((state >> 18n) ^ state) >> 27n));
    const rotation = Number(state >> 59n);
    yield { state, value: ((mixed >>> rotation) | (mixed << ((32 - rotation) % 32))) >>> 0 };
    state = step(state);
  }
}

t.test('prints what the demo of pcg-c-basic prints for seed 42, stream 54', async (t) => {
  const generator = new Pcg32(42n, 54n);
  const words = Array.from({ length: 6 }, () => generator.nextU32().toString(16));
  t.same(words, ['a15c02b7', '7b47f409', 'ba1d3330', '83d2f293', 'bfa4784b', 'cbed606e']);
  const coins = Array.from({ length: 65 }, () => (generator.nextBelow(2) ? 'H' : 'T')).join('');
  t.equal(coins, 'HHTTTHTHHHTHTTTHHHHHTTTHHHTHTHTHTTHTTTHHHHHHTTTTHHTTTTTHTTTTTTTHT');
  const rolls = Array.from({ length: 33 }, () => generator.nextBelow(6) + 1).join(' ');
  t.equal(rolls, '3 4 1 1 2 2 3 2 4 3 2 4 3 3 5 2 3 1 3 1 5 1 4 1 5 6 4 6 6 2 6 3 3');
  t.equal(new Pcg32(42n).nextU32(), 0xa15c02b7, '54 is the stream where none is given');
});

t.test('follows the recurrence in 64-bit integers for every seed and stream', async (t) => {
  const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
  fc.assert(
    fc.property(u64, u64, (seed, stream) => {
      const generator = new Pcg32(seed, stream);
      const expected = reference(seed, stream);
      for (let step = 0; step < 50; step++) {
        const { state, value } = expected.next().value;
        if (generator.state !== state || generator.nextU32() !== value) return false;
      }
      return true;
    }),
    { seed: 1 },
  );
  t.pass('for all examples');
});

t.test('goes on from an exported state', async (t) => {
  const generator = new Pcg32(7n, 9n);
  generator.nextU32();
  const resumed = Pcg32.resume(generator.state, 9n);
  for (let step = 0; step < 10; step++) t.equal(resumed.nextU32(), generator.nextU32());
});

t.test('bounded integers', async (t) => {
  t.equal(new Pcg32(1n).nextBelow(1), 0);
  const generator = new Pcg32(2n);
  const bound = 3 * 2 ** 30; // a quarter of the draws is rejected
  const draws = Array.from({ length: 30_000 }, () => generator.nextBelow(bound));
  t.ok(draws.every((value) => Number.isInteger(value) && value >= 0 && value < bound));
  // Of a plain remainder half would lie in the lowest third; of uniform draws a third, +- 0.0027 (one sigma).
  const lowest = draws.filter((value) => value < bound / 3).length / draws.length;
  t.ok(Math.abs(lowest - 1 / 3) < 0.014, `${lowest} in the lowest third`);
});
