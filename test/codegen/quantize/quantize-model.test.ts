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
import { type MethodChoice, methods, quantizeModel } from '../../../codegen/quantize/quantize-model.js';
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

const quantize = (plan: Plan, ids: number[], method: MethodChoice = 'gptq') => {
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
  t.ok(comparison!.divergence.gptq! < comparison!.divergence.nearest!);
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
  t.ok(gptq! > nearest!, `${gptq} against ${nearest}`);
  const expected = await quantizeGraph(own, llama, plan, 'int4', quietContext());
  t.equal(quantizedHash(found.matrices.values()), quantizedHash(expected.values()));
  t.match(context.warnings, [/rounded to nearest, which diverges less: GPTQ \d/]);
  const search = quietContext();
  const otherwise = 'channels stay as they are';
  await quantizeModel({ ...input, text: text(ids), method: 'gptq', otherwise }, search);
  t.match(
    search.warnings,
    [/^channels stay as they are, which diverges less: GPTQ \d/],
    'what it means to a search',
  );
});

t.test('AWQ scales channels before; of all methods the one that diverges least is kept', async (t) => {
  const plan = namedPlans.int4!;
  const all = await quantize(plan, evenIds, 'auto');
  const { divergence } = all.comparison!;
  t.same(Object.keys(divergence).sort(), [...methods].sort());
  t.equal(divergence[all.method], Math.min(...Object.values(divergence)));
  const found = new Map<MethodChoice, typeof all>([['auto', all]]);
  for (const method of ['gptq', 'awq', 'awq+gptq'] as const) {
    const one = await quantize(plan, evenIds, method);
    found.set(method, one);
    t.equal(one.method, divergence[method]! < divergence.nearest! ? method : 'nearest');
    t.equal(one.comparison!.divergence[method], divergence[method], 'the same beside others and alone');
    t.equal(one.folds.size > 0, one.method.startsWith('awq'));
    t.equal(one.warnings.length, one.method === 'nearest' ? 1 : 0);
  }
  const kept = found.get(all.method)!;
  t.equal(quantizedHash(all.matrices.values()), quantizedHash(kept.matrices.values()));
  t.same(all.folds, kept.folds);
});

t.test('where no channel can be scaled, GPTQ or rounding takes its place, which is said', async (t) => {
  // Norms and biases with a second name: whoever reads that would see them scaled.
  const again = graph.vectors.map((vector) => ({ ...vector, name: `${vector.name}.again` }));
  const closed = { ...graph, vectors: [...graph.vectors, ...again] };
  const tried = async (method: MethodChoice) => {
    const context = quietContext();
    const plan = namedPlans.int4!;
    const input = {
      graph: closed,
      checkpoint,
      weights: checkpointWeights(checkpoint, closed),
      plan,
      where: 'int4',
    };
    const result = await quantizeModel({ ...input, text: text(evenIds), method }, context);
    return { ...result, warnings: context.warnings };
  };
  const rounded = await tried('awq');
  t.match(rounded, { method: 'nearest', comparison: { divergence: { awq: undefined } } });
  t.match(rounded.warnings, [/rounded as they are: no channels can be scaled/]);
  const fitted = await tried('awq+gptq');
  t.equal(fitted.method, 'gptq');
  t.match(fitted.warnings, [/GPTQ fits weights as they are: no channels/]);
  const all = await tried('auto');
  t.equal(all.method, 'gptq');
  t.same(Object.keys(all.comparison!.divergence).sort(), ['gptq', 'nearest']);
  t.equal(all.warnings.length, 1);
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
      { match: '*', format: 'w4' },
    ],
  };
  const { matrices, method } = await quantize(plan, evenIds);
  t.equal(method, 'gptq');
  const nearest = await quantizeGraph(graph, checkpoint, plan, plan.name, quietContext());
  for (const [name, matrix] of matrices) {
    const same = quantizedHash([matrix]) === quantizedHash([nearest.get(name)!]);
    // No linear op uses positions: they have no inputs to be fitted to.
    t.equal(same, matrix.format !== 'w4' || name === 'positions', `${name}: ${matrix.format}`);
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
