import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { LogitsDigest } from '../../../codegen/arithmetic/digest.js';
import { calibrate } from '../../../codegen/calibrate/calibrate.js';
import { checkpointWeights } from '../../../codegen/calibrate/float-weights.js';
import { PlainLinearAlgebra } from '../../../codegen/calibrate/linear-algebra-plain.js';
import { openCheckpoint } from '../../../codegen/checkpoint/open.js';
import {
  defaultGoldenRuns,
  goldenRun,
  greedySampling,
  seededSampling,
} from '../../../codegen/evaluate/golden-run.js';
import { IntegerEvaluator } from '../../../codegen/evaluate/integer-evaluator.js';
import { buildGraph } from '../../../codegen/graph/build.js';
import { foldGains } from '../../../codegen/lower/fold-gains.js';
import { lower } from '../../../codegen/lower/lower.js';
import { namedPlans } from '../../../codegen/quantize/plan.js';
import { quantizeGraph } from '../../../codegen/quantize/quantize.js';
import { writeTinyModel } from '../checkpoint/tiny-model.js';
import { quietContext } from './tiny-bundle.js';

const folder = mkdtempSync(join(tmpdir(), 'em-golden-'));
t.teardown(() => rmSync(folder, { recursive: true }));

const checkpoint = openCheckpoint(writeTinyModel(join(folder, 'model')));
t.teardown(() => checkpoint.close());
const graph = buildGraph(checkpoint, 64);
const weights = checkpointWeights(checkpoint, graph);
const ids = Array.from({ length: 64 }, (_, i) => (i * 7) % 12);
const context = quietContext();
const { ranges } = await calibrate(
  graph,
  weights,
  new PlainLinearAlgebra(),
  { source: 'test', ids },
  context,
);
const matrices = await quantizeGraph(graph, checkpoint, namedPlans.int8!, 'int8', context);
const model = lower({
  graph,
  matrices: foldGains(graph, matrices),
  vector: (name) => weights.vector(name),
  ranges,
});

/** Logits of every position of a text, by an evaluator of its own. */
function logitsOf(text: readonly number[]): Int32Array[] {
  const evaluator = new IntegerEvaluator(model);
  return text.map((id) => evaluator.decode(id).slice());
}

function digestOf(text: readonly number[]): string {
  const digest = new LogitsDigest();
  for (const logits of logitsOf(text)) digest.add(logits);
  return digest.hex();
}

const prompt = [3, 1, 4, 1, 5];

t.test('a greedy run chooses the largest logit of each position, the lowest id among equals', async (t) => {
  const run = goldenRun(model, 'a text', prompt, 12, greedySampling, []);
  t.equal(run.prompt, 'a text');
  t.same(run.promptIds, prompt);
  t.equal(run.tokenIds.length, 12);
  const logits = logitsOf([...prompt, ...run.tokenIds]);
  for (const [i, id] of run.tokenIds.entries()) {
    const before = logits[prompt.length + i - 1]!;
    t.equal(id, before.indexOf(before.reduce((a, b) => Math.max(a, b))), `token ${i}`);
  }
});

t.test('the digest is over prompt and all generated tokens but the last', async (t) => {
  for (const tokens of [1, 2, 9]) {
    const run = goldenRun(model, null, prompt, tokens, greedySampling, []);
    t.equal(run.tokenIds.length, tokens);
    t.equal(run.logitsDigest, digestOf([...prompt, ...run.tokenIds.slice(0, -1)]), `${tokens} tokens`);
  }
  const none = goldenRun(model, null, prompt, 0, greedySampling, []);
  t.same(none.tokenIds, []);
  t.equal(none.logitsDigest, digestOf(prompt));
});

t.test('a token that ends the text is listed, not decoded, and ends the run', async (t) => {
  const free = goldenRun(model, null, prompt, 12, seededSampling, []);
  const end = free.tokenIds[5]!;
  const stopped = goldenRun(model, null, prompt, 12, seededSampling, [end]);
  t.same(stopped.tokenIds, free.tokenIds.slice(0, free.tokenIds.indexOf(end) + 1));
  t.equal(stopped.logitsDigest, digestOf([...prompt, ...stopped.tokenIds.slice(0, -1)]));
});

t.test('a seed decides what is sampled', async (t) => {
  const sample = (seed: string) => goldenRun(model, null, prompt, 20, { ...seededSampling, seed }, []);
  t.same(sample('1'), sample('1'));
  const runs = ['1', '2', '3', '18446744073709551615'].map((seed) => sample(seed).tokenIds.join());
  t.equal(new Set(runs).size, runs.length, 'different seeds, different texts');
});

t.test('runs that share the prompt are those made one by one', async (t) => {
  const [greedy, sampled, ...more] = await defaultGoldenRuns(
    model,
    { text: 'x', ids: prompt },
    [],
    1000,
    context,
  );
  t.same(greedy, goldenRun(model, 'x', prompt, 24, greedySampling, []));
  t.same(sampled, goldenRun(model, 'x', prompt, 16, seededSampling, []));
  t.same(more, []);
});

t.test('large models and full contexts get fewer tokens', async (t) => {
  const lengths = async (promptIds: number[], parameters: number) => {
    const runs = await defaultGoldenRuns(model, { text: null, ids: promptIds }, [], parameters, context);
    return runs.map(({ tokenIds }) => tokenIds.length);
  };
  t.same(await lengths(prompt, 60e6), [8, 8]);
  t.same(await lengths(ids.slice(0, 61), 1000), [3, 3]);
});

t.test('an interruption ends it', async (t) => {
  const controller = new AbortController();
  const { progress } = context;
  let positions = 0;
  const advance = () => {
    if (++positions === 7) controller.abort();
  };
  const runs = defaultGoldenRuns(model, { text: null, ids: prompt }, [], 1000, {
    progress: { ...progress, advance },
    signal: controller.signal,
  });
  await t.rejects(runs, { name: 'AbortError' });
  t.equal(positions, 7);
});
