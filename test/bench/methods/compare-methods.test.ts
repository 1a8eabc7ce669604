/** The comparison of methods on a tiny model, and grids by hand. */
import fc from 'fast-check';
import t from 'tap';
import { tinyProblem } from '../../codegen/allocate/tiny-problem.js';
import { quietContext } from '../../codegen/evaluate/tiny-bundle.js';
import { randomFloats } from '../../codegen/quantize/random-weights.js';
import { compareMethods } from './compare-methods.js';
import { simulateGroups } from './simulated-groups.js';

t.test('four methods and four grids', async (t) => {
  const { graph, checkpoint, calibration, probe } = tinyProblem(t);
  const model = {
    ...{ graph, checkpoint, calibration: Int32Array.from(calibration.flat()) },
    validation: Int32Array.from(probe.flat()),
  };
  const { methods, simulated, places } = await compareMethods(model, quietContext());
  t.ok(Object.values(methods).every((kld) => kld > 0 && kld < 1));
  t.not(methods.awq, methods.nearest);
  t.ok(places > 0);
  const [w4, w4a, w5, w5a] = simulated.map(({ kld }) => kld);
  t.ok(w5! < w4! && w5a! < w4a!);
  const less = await compareMethods({ ...model, judgedTokens: 2 * graph.context }, quietContext());
  t.equal(less.positions, 2 * (graph.context - 1));
});

t.test('grids by hand', async (t) => {
  const even = Float32Array.from({ length: 32 }, (_, i) => 100 + (i % 16));
  t.same(simulateGroups(even, 32, { bits: 4, asymmetric: true }), even, '16 values, wherever they lie');
  t.notSame(simulateGroups(even, 32, { bits: 4, asymmetric: false }), even);
  const signed = Float32Array.from({ length: 16 }, (_, i) => i - 7);
  t.same(
    simulateGroups(signed, 16, { bits: 4, asymmetric: false }),
    signed,
    '-7 to 8: the sign of the scale',
  );
  t.same(simulateGroups(new Float32Array(40), 40, { bits: 4, asymmetric: true }), new Float32Array(40));
});

t.test('another bit never rounds worse', async () => {
  const error = (w: Float32Array, bits: number, asymmetric: boolean) =>
    simulateGroups(w, 48, { bits, asymmetric }).reduce((sum, v, i) => sum + (v - w[i]!) ** 2, 0);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1e6 }), fc.boolean(), (seed, asymmetric) => {
      const w = randomFloats(96, seed);
      return error(w, 6, asymmetric) < error(w, 4, asymmetric);
    }),
  );
});
