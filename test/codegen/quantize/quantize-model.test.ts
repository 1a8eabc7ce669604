import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { Pcg32 } from '../../../codegen/arithmetic/pcg32.js';
import { calibrationWindows } from '../../../codegen/calibrate/calibration-windows.js';
import { checkpointWeights } from '../../../codegen/calibrate/float-weights.js';
import { openCheckpoint } from '../../../codegen/checkpoint/open.js';
import { buildGraph } from '../../../codegen/graph/build.js';
import { quantizedHash } from '../../../codegen/quantize/matrix.js';
import { namedPlans, type Plan } from '../../../codegen/quantize/plan.js';
import { quantizeGraph } from '../../../codegen/quantize/quantize.js';
import { quantizeModel } from '../../../codegen/quantize/quantize-model.js';
import { writeGpt2Checkpoint } from '../../end-to-end/tiny-families.js';
import { writeTinyModel } from '../checkpoint/tiny-model.js';
import { quietContext } from '../evaluate/tiny-bundle.js';

const folder = mkdtempSync(join(tmpdir(), 'em-quantize-'));
t.teardown(() => rmSync(folder, { recursive: true }));
const checkpoint = openCheckpoint(writeGpt2Checkpoint(folder, {}));
t.teardown(() => checkpoint.close());
const graph = buildGraph(checkpoint, 64);
const weights = checkpointWeights(checkpoint, graph);
const random = new Pcg32(1n);
const text = (ids: number[]) => ({ source: 'test', ids });
const evenIds = Array.from({ length: 3000 }, () => random.nextBelow(263));

const quantize = (plan: Plan, ids: number[], method: 'gptq' | 'nearest' = 'gptq') => {
  const context = quietContext();
  const input = { graph, checkpoint, weights, plan, where: plan.name, text: text(ids), method };
  return quantizeModel(input, context).then((result) => ({ ...result, warnings: context.warnings }));
};
const rounded = async (plan: Plan) =>
  quantizedHash((await quantizeGraph(graph, checkpoint, plan, plan.name, quietContext())).values());

t.test('GPTQ is kept where it diverges less on text that it was not given', async (t) => {
  const plan = namedPlans.int4!;
  const { method, comparison, matrices, warnings } = await quantize(plan, evenIds);
  t.equal(method, 'gptq');
  t.ok(comparison!.divergence.gptq < comparison!.divergence.nearest);
  t.equal(comparison!.fittedTokens, 41 * 64);
  t.equal(comparison!.comparedPositions, 5 * 63);
  t.not(quantizedHash(matrices.values()), await rounded(plan));
  t.same(warnings, []);
  const again = await quantize(plan, evenIds);
  t.equal(quantizedHash(again.matrices.values()), quantizedHash(matrices.values()), 'the same each time');
});

t.test('and not where it diverges more, which is said', async (t) => {
  // Without positions, one token over and over is one input: all columns but one direction are free to err.
  const llama = openCheckpoint(writeTinyModel(t.testdir()));
  t.teardown(() => llama.close());
  const own = buildGraph(llama, 64);
  const plan = namedPlans.int4!;
  const ids = Array.from({ length: 3000 }, (_, i) => (i < 2600 ? 7 : evenIds[i]! % 12));
  const context = quietContext();
  const input = {
    graph: own,
    checkpoint: llama,
    weights: checkpointWeights(llama, own),
    plan,
    where: 'int4',
  };
  const found = await quantizeModel({ ...input, text: text(ids), method: 'gptq' }, context);
  t.equal(found.method, 'nearest');
  const { gptq, nearest } = found.comparison!.divergence;
  t.ok(gptq > nearest, `${gptq} against ${nearest}`);
  const expected = await quantizeGraph(own, llama, plan, 'int4', quietContext());
  t.equal(quantizedHash(found.matrices.values()), quantizedHash(expected.values()));
  t.match(context.warnings, [/rounded to nearest, which diverges less: GPTQ \d/]);
});

t.test('where it is of no use, it is not tried', async (t) => {
  const int8 = await quantize(namedPlans.int8!, evenIds);
  t.match(int8, { method: 'nearest', comparison: null, warnings: [] });
  const asked = await quantize(namedPlans.int4!, evenIds, 'nearest');
  t.match(asked, { method: 'nearest', comparison: null, warnings: [] });
  const short = await quantize(namedPlans.int4!, evenIds.slice(0, 1023));
  t.match(short, { method: 'nearest', comparison: null });
  t.match(short.warnings, [/has 1023 tokens, GPTQ wants 1024: weights are rounded to nearest/]);
});

t.test('formats that it does not fit are rounded to nearest beside those that it does', async (t) => {
  const plan: Plan = {
    ...{ schemaVersion: 1, name: 'mixed', groupSize: 64 },
    rules: [
      { match: '*.attn.o', format: 'w8t' },
      { match: '*.down', format: 'w16' },
      { match: '*', format: 'w5' },
    ],
  };
  const { matrices, method } = await quantize(plan, evenIds);
  t.equal(method, 'gptq');
  const nearest = await quantizeGraph(graph, checkpoint, plan, plan.name, quietContext());
  for (const [name, matrix] of matrices) {
    const same = quantizedHash([matrix]) === quantizedHash([nearest.get(name)!]);
    // No linear op uses positions: they have no inputs to be fitted to.
    t.equal(same, matrix.format !== 'w5' || name === 'positions', `${name}: ${matrix.format}`);
  }
});

t.test('windows of a calibration text: an eighth is kept back, none overlaps', async (t) => {
  const ids = Array.from({ length: 20_000 }, (_, i) => i);
  for (const [count, context, fitted, judged] of [
    [1024, 512, 7, 1],
    [1500, 100, 14, 1],
    [4096, 512, 28, 4],
    [20_000, 2048, 64, 8],
    [20_000, 64, 128, 16],
  ] as const) {
    const windows = calibrationWindows(ids.slice(0, count), context)!;
    t.same([windows.fitted.length, windows.judged.length], [fitted, judged], `${count} tokens, ${context}`);
    const all = [...windows.fitted, ...windows.judged].flat();
    t.same(all, ids.slice(0, all.length), 'in the order of the text');
  }
  t.equal(calibrationWindows(ids.slice(0, 1023), 512), null);
  t.equal(calibrationWindows(ids, 1), null);
});
