/** Text beyond the context, in a window that slides; and what crystals write, against their oracle. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Manifest } from '../../codegen/bundle/manifest.js';
import { FloatEvaluator } from '../../codegen/calibrate/float-evaluator.js';
import { checkpointWeights } from '../../codegen/calibrate/float-weights.js';
import { createLinearAlgebra } from '../../codegen/calibrate/linear-algebra.js';
import { openCheckpoint } from '../../codegen/checkpoint/open.js';
import { goldenRun, greedySampling, seededSampling } from '../../codegen/evaluate/golden-run.js';
import { IntegerEvaluator } from '../../codegen/evaluate/integer-evaluator.js';
import { openReferenceSource, readReference } from '../../codegen/evaluate/reference-model.js';
import { buildGraph } from '../../codegen/graph/build.js';
import type { IntegerModel } from '../../codegen/lower/lower.js';
import { silentProgress } from '../../codegen/progress.js';
import { namedPlans } from '../../codegen/quantize/plan.js';
import { runRunner } from '../../deploy/run-bundle.js';
import { targets } from '../../targets/index.js';
import { buildBundle, cannotRun, projectRoot, temporaryFolder } from './tiny-bundles.js';
import { writeCrystalCheckpoint, writeGpt2Checkpoint } from './tiny-families.js';

t.setTimeout(1_800_000);

const stage = { progress: silentProgress, signal: new AbortController().signal };
const targetOf = (name: string) => targets.find((target) => target.name === name)!;
const none = { prompt: null, threads: 1, chunk: null };

/** The integers of a bundle, in TypeScript. */
async function referenceOf(bundle: string, manifest: Manifest): Promise<IntegerModel> {
  const source = openReferenceSource(manifest, null);
  try {
    return (await readReference(bundle, manifest, source, stage)).model;
  } finally {
    source.checkpoint.close();
  }
}

function argMax(row: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < row.length; i++) if (row[i]! > row[best]!) best = i;
  return best;
}

const subjects: readonly (readonly [string, (folder: string) => string, string])[] = [
  ['GPT-2', (folder) => writeGpt2Checkpoint(folder, {}), 'x86_64-avx2'],
  ['flat crystal', (folder) => writeCrystalCheckpoint(folder, false), 'riscv-u74'],
  ['causal crystal', (folder) => writeCrystalCheckpoint(folder, true), 'x86_64-avx2'],
];
for (const [name, write, targetName] of subjects) {
  const target = targetOf(targetName);
  t.test(
    `${name} on ${targetName} slides as the reference does`,
    { skip: await cannotRun(target) },
    async (t) => {
      const folder = temporaryFolder(t);
      const [model, out] = [write(join(folder, 'model')), join(folder, 'bundle')];
      const { manifest } = await buildBundle({ model, out, target, context: 12, tokenizer: false });
      const reference = await referenceOf(out, manifest);
      const ids = [3, 141, 59, 26, 5];
      for (const sampling of [greedySampling, seededSampling]) {
        const wanted = goldenRun(reference, null, ids, 30, sampling, []);
        const request = { ...none, ids, tokens: 30, sampling, ignoreEnd: true };
        const { outcome } = await runRunner(out, manifest, { ...request, slide: true }, 'auto', stage.signal);
        t.same(
          outcome.tokens.map(({ id }) => id),
          wanted.tokenIds,
        );
        t.equal(outcome.digest?.value, wanted.logitsDigest);
        await t.rejects(runRunner(out, manifest, request, 'auto', stage.signal), {
          code: 'EM3206',
          why: /5 prompt tokens and --tokens 30 do not fit the context of 12; see --slide/,
        });
      }
      const last = goldenRun(reference, null, ids, 30, greedySampling, []).tokenIds;
      const window = [...ids, ...last].slice(-13, -1);
      t.equal(goldenRun(reference, null, window, 1, greedySampling, []).tokenIds[0], last.at(-1));
    },
  );
}

interface Oracle {
  readonly sliding: { readonly ids: number[]; readonly greedy_ids: number[] };
  readonly prompts: readonly { readonly ids: number[]; readonly greedy_ids: number[] }[];
  readonly teacher_forced: { readonly argmax_ids: number[][]; readonly margins: number[][] };
}

const avx2 = targetOf('x86_64-avx2');
for (const name of ['crystal-788', 'causal-crystal-788']) {
  const folder = join(projectRoot, '..', 'shared', 'models', name);
  const skip = existsSync(folder) ? await cannotRun(avx2) : 'no ../shared';
  t.test(`${name} against its oracle`, { skip }, async (t) => {
    const oracle = JSON.parse(readFileSync(join(folder, 'oracle.json'), 'utf8')) as Oracle;
    compareFloats(t, folder, oracle);
    const out = join(temporaryFolder(t), 'bundle');
    const calibration = join(folder, 'train_ids.u16');
    const plan = namedPlans.int8!;
    const { manifest } = await buildBundle({
      model: folder,
      out,
      target: avx2,
      calibration,
      plan,
      tokenizer: false,
    });
    const { ids, greedy_ids } = oracle.sliding;
    const request = { ...none, ids, tokens: greedy_ids.length, sampling: greedySampling, ignoreEnd: true };
    const { outcome } = await runRunner(out, manifest, { ...request, slide: true }, 'auto', stage.signal);
    const same = greedy_ids.findIndex((id, i) => id !== outcome.tokens[i]?.id);
    t.comment(
      `int8: the first ${same < 0 ? greedy_ids.length : same} of ${greedy_ids.length} sliding ids are the oracle's`,
    );
    compareTeacherForced(t, await referenceOf(out, manifest), folder, oracle);
  });
}

/** Greedy and sliding ids, and the most likely id after every position, in float. */
function compareFloats(t: Test, folder: string, { sliding, prompts, teacher_forced }: Oracle): void {
  const checkpoint = openCheckpoint(folder);
  t.teardown(() => checkpoint.close());
  const graph = buildGraph(checkpoint, 64);
  const evaluator = new FloatEvaluator(graph, checkpointWeights(checkpoint, graph), createLinearAlgebra());
  const last = (window: readonly number[]) => {
    evaluator.reset();
    return argMax(evaluator.run([...window]).subarray(-graph.vocabSize));
  };
  for (const { ids, greedy_ids } of [sliding, ...prompts]) {
    const all = [...ids];
    for (let i = 0; i < greedy_ids.length; i++) all.push(last(all.slice(-64)));
    t.same(all.slice(ids.length), greedy_ids, `${greedy_ids.length} greedy ids in float`);
  }
  const text = trainingIds(folder);
  for (const [i, expected] of teacher_forced.argmax_ids.entries()) {
    evaluator.reset();
    const logits = evaluator.run(text.slice(64 * i, 64 * (i + 1)));
    const found = expected.map((_, p) =>
      argMax(logits.subarray(p * graph.vocabSize, (p + 1) * graph.vocabSize)),
    );
    t.same(found, expected, `window ${i} in float`);
  }
}

function trainingIds(folder: string): number[] {
  const bytes = readFileSync(join(folder, 'train_ids.u16'));
  return Array.from({ length: 256 }, (_, i) => bytes.readUInt16LE(2 * i));
}

function compareTeacherForced(
  t: Test,
  model: IntegerModel,
  folder: string,
  { teacher_forced }: Oracle,
): void {
  const text = trainingIds(folder);
  const evaluator = new IntegerEvaluator(model);
  const differing: number[] = [];
  for (const [i, expected] of teacher_forced.argmax_ids.entries()) {
    evaluator.rewind(0);
    for (const [p, id] of expected.entries()) {
      if (argMax(evaluator.decode(text[64 * i + p]!)) !== id) differing.push(teacher_forced.margins[i]![p]!);
    }
  }
  t.comment(
    `int8: ${differing.length} of 256 differ, margins ${differing.map((m) => m.toFixed(2)).join(' ')}`,
  );
  t.ok(differing.length <= 12, `${differing.length} of 256 differ`);
  t.ok(Math.max(0, ...differing) < 0.5, 'where the oracle is not sure, the margin below 0.5');
}
