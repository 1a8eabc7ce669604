import fc from 'fast-check';
import t from 'tap';
import { checkpointWeights } from '../../../../codegen/calibrate/float-weights.js';
import { PlainLinearAlgebra } from '../../../../codegen/calibrate/linear-algebra-plain.js';
import { buildGraph } from '../../../../codegen/graph/build.js';
import { foldPlaces } from '../../../../codegen/quantize/awq/fold-places.js';
import { searchFolds, searchPlace } from '../../../../codegen/quantize/awq/search-folds.js';
import { scaleOf } from '../../../../codegen/quantize/folds/folds.js';
import type { FormatName } from '../../../../codegen/quantize/format.js';
import { Hessian } from '../../../../codegen/quantize/gptq/hessian.js';
import { dequantizeMatrix } from '../../../../codegen/quantize/matrix.js';
import { roundToNearest } from '../../../../codegen/quantize/round-to-nearest.js';
import { quietContext } from '../../evaluate/tiny-bundle.js';
import { tinyFamilies } from '../folds/tiny-folds.js';
import { randomFloats } from '../random-weights.js';

const algebra = new PlainLinearAlgebra();
const TOKENS = 40;

/** Inputs whose channels differ in size as the seed has it, some of them always 0. */
function unevenInputs(columns: number, spread: number, dead: number, seed: number): Float32Array {
  const sizes = randomFloats(columns, seed + 1).map((v) => Math.exp(spread * v));
  return randomFloats(TOKENS * columns, seed).map((v, i) =>
    i % columns < dead ? 0 : v * sizes[i % columns]!,
  );
}

/** The objective from its definition: outputs of rounded and of exact weights, token by token, in float64. */
function denseError(
  weights: readonly Float32Array[],
  inputs: Float32Array,
  columns: number,
  format: FormatName,
  scales: Float64Array,
): number {
  return weights.reduce((total, w) => {
    const scaled = w.map((v, i) => v * scales[i % columns]!);
    const rows = w.length / columns;
    const read = (first: number, count: number) =>
      scaled.subarray(first * columns, (first + count) * columns);
    const rounded = dequantizeMatrix(roundToNearest({ name: 'm', rows, columns, read }, format, 32));
    let [error, energy] = [0, 0];
    for (let token = 0; token < TOKENS; token++) {
      const x = inputs.subarray(token * columns, (token + 1) * columns);
      for (let r = 0; r < rows; r++) {
        let [exact, off] = [0, 0];
        for (let c = 0; c < columns; c++) {
          exact += w[r * columns + c]! * x[c]!;
          off += (rounded[r * columns + c]! / scales[c]!) * x[c]!;
        }
        error += (off - exact) ** 2;
        energy += exact ** 2;
      }
    }
    return total + (energy > 0 ? error / energy : 0);
  }, 0);
}

/** A checkpoint of matrices that share an input, and what searchPlace is given of it. */
function problemOf(weights: readonly Float32Array[], columns: number, format: FormatName) {
  const names = weights.map((_, i) => `m${i}`);
  const matrices = weights.map((w, i) => ({
    ...{ name: names[i]!, tensor: names[i]!, aliases: [], rows: w.length / columns, columns },
  }));
  const readRows = (name: string, first: number, count: number) =>
    weights[names.indexOf(name)]!.slice(first * columns, (first + count) * columns);
  const input = {
    graph: { matrices } as never,
    checkpoint: { readRows } as never,
    weights: null as never,
    ...{ algebra, groupSize: 32, windows: [], formats: new Map(names.map((name) => [name, format])) },
  };
  return { input, place: { name: 'place', channels: columns, divided: ['g'], multiplied: names } };
}

t.test(
  'what is found is never worse than no scales, and its error is that of a dense reference',
  async () => {
    const shapes = fc.record({
      columns: fc.integer({ min: 3, max: 70 }),
      rows: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 3 }),
      spread: fc.double({ min: 0, max: 4, noNaN: true }),
      dead: fc.integer({ min: 0, max: 2 }),
      seed: fc.integer({ min: 1, max: 1e6 }),
      format: fc.constantFrom<FormatName>('w4', 'w5', 'w8'),
    });
    fc.assert(
      fc.property(shapes, ({ columns, rows, spread, dead, seed, format }) => {
        const inputs = unevenInputs(columns, spread, dead, seed);
        const weights = rows.map((count, i) => randomFloats(count * columns, seed + 7 * i));
        const { input, place } = problemOf(weights, columns, format);
        const hessian = new Hessian(columns);
        hessian.add(inputs, TOKENS, algebra);
        const { alpha, error, errorBefore, steps } = searchPlace(place, input, hessian);
        const dense = (scales: Float64Array) => denseError(weights, inputs, columns, format, scales);
        const near = (found: number, expected: number) =>
          Math.abs(found - expected) <= 1e-3 * expected + 1e-9;
        return (
          error <= errorBefore &&
          (alpha > 0 || steps.every((step) => step === 0)) &&
          near(errorBefore, dense(new Float64Array(columns).fill(1))) &&
          near(error, dense(Float64Array.from(steps, scaleOf)))
        );
      }),
      { numRuns: 60 },
    );
  },
);

t.test('a few large channels among many small ones: scales pay', async (t) => {
  const columns = 64;
  const inputs = randomFloats(TOKENS * columns, 3).map((v, i) => (i % columns < 3 ? 30 * v : v));
  const { input, place } = problemOf([randomFloats(32 * columns, 5)], columns, 'w4');
  const hessian = new Hessian(columns);
  hessian.add(inputs, TOKENS, algebra);
  const { alpha, error, errorBefore, steps } = searchPlace(place, input, hessian);
  t.ok(alpha > 0 && error < 0.5 * errorBefore, `${alpha}: ${error} of ${errorBefore}`);
  t.ok(Math.min(...steps.subarray(0, 3)) > Math.max(...steps.subarray(3)), 'the large ones are scaled up');
});

t.test('over a model: a record a place, scales where alpha is above 0, the same each time', async (t) => {
  const checkpoint = tinyFamilies['llama without'](t.testdir());
  t.teardown(() => checkpoint.close());
  const graph = buildGraph(checkpoint, 16);
  const windows = [0, 1, 2, 3].map((w) => Array.from({ length: 16 }, (_, i) => (5 * i + 3 * w + i * i) % 12));
  const formats = new Map(graph.matrices.map(({ name }) => [name, 'w4' as const]));
  const weights = checkpointWeights(checkpoint, graph);
  const input = { graph, checkpoint, weights, algebra, formats, groupSize: 32, windows };
  const { folds, found } = await searchFolds(input, quietContext());
  t.same(
    found.map(({ place }) => place),
    foldPlaces(graph).map(({ name }) => name),
  );
  t.ok(found.every(({ error, errorBefore }) => error <= errorBefore && errorBefore > 0));
  t.same(
    [...folds.keys()],
    found.filter(({ alpha }) => alpha > 0).map(({ place }) => place),
  );
  t.ok(folds.size > 0);
  t.same(await searchFolds(input, quietContext()), { folds, found });
});

t.test('16 bits are left as they are', async (t) => {
  const { input, place } = problemOf([randomFloats(64, 5)], 16, 'w16');
  const hessian = new Hessian(16);
  hessian.add(unevenInputs(16, 3, 0, 9), TOKENS, algebra);
  t.match(searchPlace(place, input, hessian), { alpha: 0, error: 0, errorBefore: 0 });
});
