import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { rangeNames } from '../../../codegen/calibrate/float-evaluator.js';
import { checkpointWeights } from '../../../codegen/calibrate/float-weights.js';
import { openCheckpoint } from '../../../codegen/checkpoint/open.js';
import { buildGraph } from '../../../codegen/graph/build.js';
import type { Graph, Op } from '../../../codegen/graph/graph.js';
import { queryGain } from '../../../codegen/graph/llama.js';
import { foldGains, unfoldGains } from '../../../codegen/lower/fold-gains.js';
import { fractionBits, lower } from '../../../codegen/lower/lower.js';
import type { LinearStep } from '../../../codegen/ops/linear.js';
import { accumulatorShift, rowScale } from '../../../codegen/quantize/matrix.js';
import { roundToNearest } from '../../../codegen/quantize/round-to-nearest.js';
import { writeTinyModel } from '../checkpoint/tiny-model.js';

t.test('fractionBits leaves five of 31 bits above the calibrated magnitude', async (t) => {
  const magnitude = fc.tuple(
    fc.double({ min: 1, max: 1.999, noNaN: true }),
    fc.integer({ min: -40, max: 40 }),
  );
  fc.assert(
    fc.property(magnitude, ([fraction, power]) => {
      const value = fraction * 2 ** power;
      const frac = fractionBits(value);
      const stored = value * 2 ** frac;
      const roomy = frac === 0 || stored < 2 ** 26;
      const full = frac === 30 || stored >= 2 ** 25;
      return Number.isInteger(frac) && frac >= 0 && frac <= 30 && roomy && full;
    }),
    { numRuns: 2000, seed: 9 },
  );
  t.strictSame([0, 1, 0.99, 2 ** -5, 100, 2 ** 26, 2 ** 40].map(fractionBits), [30, 25, 26, 30, 19, 0, 0]);
});

const folder = mkdtempSync(join(tmpdir(), 'embed-model-lower-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const checkpoint = openCheckpoint(writeTinyModel(join(folder, 'tiny')));
t.teardown(() => checkpoint.close());
const graph = buildGraph(checkpoint, 10);
const weights = checkpointWeights(checkpoint, graph);
const matrices = new Map(
  graph.matrices.map(({ name, tensor, rows, columns }) => {
    const read = (first: number, count: number) => checkpoint.readRows(tensor, first, count);
    return [name, roundToNearest({ name, rows, columns, read }, 'w8')];
  }),
);
const ranges = new Map(rangeNames(graph).map((name) => [name, 3]));
const folded = foldGains(graph, matrices);
const input = { graph, matrices: folded, vector: (name: string) => weights.vector(name), ranges };
const changeOp = (name: string, changes: object): Graph => ({
  ...graph,
  layers: graph.layers.map((ops) => ops.map((op) => (op.name === name ? ({ ...op, ...changes } as Op) : op))),
});

t.test('a model in integers', async (t) => {
  const model = lower(input);
  t.equal(model.logitsFrac, fractionBits(3));
  t.strictSame([...model.matrices.keys()].sort(), graph.matrices.map((m) => m.name).sort());
  t.equal(model.layers.length, 2);
  const q = model.layers[1]!.find((step) => step.op.name === 'q') as LinearStep;
  const gain = rowScale(q.matrix, 5) / rowScale(matrices.get('layers.1.attn.q')!, 5);
  t.ok(Math.abs(gain / queryGain(4) - 1) <= 2 ** -11, 'the query gain is in the row multipliers');
  t.equal(model.matrices.get('layers.1.attn.q'), q.matrix, 'and they are what the blob gets');
  const back = unfoldGains(graph, folded);
  for (const [name, { mantissas, exponents, integers }] of matrices) {
    const found = back.get(name)!;
    t.equal(found.integers, integers);
    const scales = (m: Int32Array, e: Uint8Array) => Array.from(m, (mantissa, i) => mantissa * 2 ** -e[i]!);
    const expected = scales(mantissas, exponents);
    const off = scales(found.mantissas, found.exponents).findIndex(
      (scale, i) => Math.abs(scale - expected[i]!) > 2 ** -11 * expected[i]!,
    );
    t.equal(off, -1, `${name}: the gain can be taken out again`);
  }
  t.equal(q.accumulatorShift, accumulatorShift(q.matrix));
  t.equal(q.shiftBase, q.inFrac - q.outFrac - 15 - q.accumulatorShift);
});

t.test('rope table: cosines, then sines, in Q14', async (t) => {
  const rope = lower(input).rope!;
  t.equal(rope.length, 10 * 4);
  t.strictSame([...rope.subarray(0, 4)], [16384, 16384, 0, 0]);
  const at = [Math.cos(3), Math.cos(0.03), Math.sin(3), Math.sin(0.03)].map((v) => Math.round(v * 16384));
  t.strictSame([...rope.subarray(12, 16)], at);
});

t.test('what does not fit together is an error', async (t) => {
  const without = (name: string) => new Map([...ranges].filter(([key]) => key !== name));
  t.throws(() => lower({ ...input, ranges: without('layers.0.up') }), {
    message: /nothing known of layers\.0\.up/,
  });
  t.throws(() => lower({ ...input, matrices: new Map() }), { message: /nothing known of embed/ });
  const mixed = new Map([...ranges, ['residual', 3], ['other', 1000]]);
  t.throws(() => lower({ ...input, graph: changeOp('o', { range: 'other' }), ranges: mixed }), {
    message: /attn_add: adding Q16 to Q24/,
  });
  const shared = changeOp('k', { matrix: 'layers.0.attn.v', gain: 2 });
  t.throws(() => lower({ ...input, graph: shared }), {
    message: /layers\.0\.attn\.v is used with two different gains/,
  });
});
