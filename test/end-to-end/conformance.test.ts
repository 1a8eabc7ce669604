/**
 * The same logits, bit for bit, from the integer evaluator in TypeScript and from the compiled C on every target, by logits
 * digest: of every model and format, with 1 and 2 threads, prefill chunks of 1, 7 and 64, greedy and seeded sampling.
 *
 * A plain run takes each tiny model with one plan on all targets and each model of ../shared with one plan on one target.
 * EMBED_TEST_FULL=1 takes all models with int8, int4 and two mixed plans on all targets.
 */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Manifest } from '../../codegen/bundle/manifest.js';
import type { RangeMethod } from '../../codegen/calibrate/range-methods.js';
import { namedPlans, type Plan } from '../../codegen/quantize/plan.js';
import { findLauncher } from '../../deploy/local.js';
import { equalsGolden, runRunner } from '../../deploy/run-bundle.js';
import { targets } from '../../targets/index.js';
import type { Target } from '../../targets/target.js';
import {
  buildBundle,
  cannotRun,
  mixedPlans,
  projectRoot,
  temporaryFolder,
  tinyModels,
  writeCheckpoint,
  writeLlama2cCheckpoint,
} from './tiny-bundles.js';
import { writeCrystalCheckpoint, writeGpt2Checkpoint } from './tiny-families.js';

const full = process.env.EMBED_TEST_FULL === '1';
t.setTimeout(full ? 7_200_000 : 1_800_000);

/** About a hundred tokens of the tiny tokenizer, more than three batches; some of them bytes. */
const prompt =
  'the wind in the winter woods is a thing that was not here before, said the heron 😀 to the other birds';

const proven = targets.filter(({ name }) => ['x86_64-avx2', 'cortex-a72', 'riscv-u74'].includes(name));
const plans = [namedPlans.int8!, namedPlans.int4!, ...mixedPlans];
const skips = new Map<Target, string | false>();
for (const target of proven) skips.set(target, await cannotRun(target));

/** A checkpoint and what to go on from; null where it has no tokenizer. */
interface Subject {
  readonly name: string;
  readonly prompt: string | null;
  /** Path of the checkpoint, written if need be. */
  readonly place: (t: Test) => string;
  /** What else the build is asked for. */
  readonly changes?: { readonly staticActivations: RangeMethod };
}

/** Builds, runs every combination and compares each with the manifest's golden runs; returns the digests of those. */
async function proveConforming(
  t: Test,
  model: string,
  prompt: string | null,
  choice: {
    readonly target: Target;
    readonly plan: Plan;
    readonly toolchain?: string;
    readonly staticActivations?: RangeMethod | null;
  },
): Promise<string[]> {
  const out = join(temporaryFolder(t), 'bundle');
  const { manifest, warnings } = await buildBundle({
    ...choice,
    model,
    out,
    prompt,
    tokenizer: prompt !== null,
  });
  t.same(warnings, [], 'no warning');
  const digests = manifest.golden.map(({ logitsDigest }) => logitsDigest);
  t.not(digests[0], digests[1], 'the golden runs differ');
  for (const threads of [1, 2])
    for (const chunk of [1, 7, 64]) await runGolden(t, out, manifest, threads, chunk);
  return digests;
}

async function runGolden(
  t: Test,
  out: string,
  manifest: Manifest,
  threads: number,
  chunk: number,
): Promise<void> {
  for (const golden of manifest.golden) {
    const { promptIds: ids, tokenIds, sampling } = golden;
    const request = { prompt: null, ids, tokens: tokenIds.length, sampling, threads, chunk };
    const { outcome } = await runRunner(out, manifest, request, 'auto', new AbortController().signal);
    const how = sampling.temperatureQ16 === 0 ? 'greedy' : 'sampled';
    const found = { found: outcome.digest?.value, wanted: golden.logitsDigest };
    t.ok(equalsGolden(outcome, golden), `${how}, ${threads} threads, chunks of ${chunk}`, found);
    t.equal(outcome.timing?.threads, threads, 'with as many threads as asked for');
    t.equal(outcome.digest?.positions, ids.length + tokenIds.length - 1, 'of every position');
  }
}

/** A model with some plans on some targets: one digest a plan, whatever the target. */
function testModel(
  { name, prompt, place, changes }: Subject,
  some: readonly Plan[],
  on: readonly Target[],
): void {
  t.test(name, async (t) => {
    const model = place(t);
    for (const plan of some) {
      const found = new Map<string, string[]>();
      for (const target of on) {
        await t.test(`${plan.name} on ${target.name}`, { skip: skips.get(target)! }, async (t) => {
          const digests = await proveConforming(t, model, prompt, { target, plan, ...changes });
          found.set(target.name, digests);
          t.comment(`| ${name} | ${plan.name} | ${target.name} | ${digests.join(' ')} |`);
        });
      }
      const [first, ...others] = found.values();
      for (const other of others)
        t.same(other, first, `${plan.name}: equal on ${[...found.keys()].join(', ')}`);
    }
  });
}

/** One of a list in turn, so that every model takes part and every choice is taken. */
const turn = <T>(list: readonly T[], i: number): T => list[i % list.length]!;

/** Plans of model number i: int8, int4 and two of the mixed ones, or one of all of them. */
const plansOf = (i: number): readonly Plan[] =>
  full ? [...plans.slice(0, 2), turn(mixedPlans, i), turn(mixedPlans, i + 1)] : [turn(plans, i)];

const tiny: readonly Subject[] = [
  ...tinyModels.map((model) => ({
    name: model.name,
    prompt,
    place: (t: Test) => writeCheckpoint(model, join(temporaryFolder(t), 'model')),
  })),
  { name: 'llama2.c, no tokenizer', prompt: null, place: (t) => writeLlama2cCheckpoint(temporaryFolder(t)) },
];
for (const [i, subject] of tiny.entries()) testModel(subject, plansOf(i), proven);

/** Plans whose rules hold for every family. */
const familyPlans = [namedPlans.int4!, namedPlans.mixed8!];
const families: readonly Subject[] = [
  { name: 'GPT-2', prompt: null, place: (t) => writeGpt2Checkpoint(temporaryFolder(t), {}) },
  {
    name: 'nanoGPT without biases',
    prompt: null,
    place: (t) => writeGpt2Checkpoint(temporaryFolder(t), { nano: true, biases: false }),
  },
  {
    name: 'GPT-2 with turned inputs',
    prompt: null,
    place: (t) => writeGpt2Checkpoint(temporaryFolder(t), {}, 104),
  },
  {
    name: 'GPT-2 with static activations',
    prompt: null,
    place: (t) => writeGpt2Checkpoint(temporaryFolder(t), {}, 96),
    changes: { staticActivations: 'percentile' },
  },
  { name: 'flat crystal', prompt: null, place: (t) => writeCrystalCheckpoint(temporaryFolder(t), false) },
  { name: 'causal crystal', prompt: null, place: (t) => writeCrystalCheckpoint(temporaryFolder(t), true) },
];
for (const [i, subject] of families.entries())
  testModel(subject, full ? [namedPlans.int8!, ...familyPlans] : [turn(familyPlans, i)], proven);

const sentence = 'Once upon a time there was a model that lived on a small board.';
const bundled = { name: 'bundled model', prompt: sentence, place: () => 'bundled' };
testModel(bundled, plansOf(0), full ? proven : [turn(proven, 0)]);

const shared = join(projectRoot, '..', 'shared', 'models');
const variants = [
  'llama-gqa-odd',
  'llama-linear-rope',
  'llama3-rope-sharded',
  'mistral-window',
  'qwen2-bias',
  'qwen3-qknorm',
];
const others = [
  ...variants.map((name) => ({ name: `variants/${name}`, prompt: prompt.slice(0, 72) })),
  { name: 'stories260K/stories260K.bin', prompt: sentence },
  // Four times the bundled model, and nothing in it that the others lack.
  ...(full ? [{ name: 'os-tiny', prompt: sentence }] : []),
];
for (const [i, { name, prompt }] of others.entries()) {
  const path = join(shared, name);
  if (!existsSync(path)) t.test(name, { skip: `no ../shared/models/${name}` }, async () => {});
  else testModel({ name, prompt, place: () => path }, plansOf(i), full ? proven : [turn(proven, i)]);
}

const odd = join(shared, 'variants', 'gpt2-odd');
if (!existsSync(odd)) t.test('gpt2-odd', { skip: 'no ../shared/models/variants/gpt2-odd' }, async () => {});
else
  testModel(
    { name: 'gpt2-odd', prompt: prompt.slice(0, 72), place: () => odd },
    familyPlans,
    full ? proven : [proven[1]!],
  );

for (const target of proven) {
  t.test(`${target.name}: gcc and clang give the same logits`, async (t) => {
    const model = writeCheckpoint(tinyModels[0]!, join(temporaryFolder(t), 'model'));
    const found: string[][] = [];
    for (const family of ['gcc', 'clang'] as const) {
      const skip = await cannotRun(target, family);
      await t.test(family, { skip }, async (t) => {
        const choice = { target, plan: mixedPlans[1]!, toolchain: family };
        found.push(await proveConforming(t, model, prompt, choice));
      });
    }
    for (const other of found.slice(1)) t.same(other, found[0]);
  });
}

t.test('a build proves itself', { skip: skips.get(proven[0]!)! }, async (t) => {
  const model = writeCheckpoint(tinyModels[0]!, join(temporaryFolder(t), 'model'));
  const out = join(temporaryFolder(t), 'bundle');
  const { result } = await buildBundle({ model, out, target: proven[0]!, run: true, tokens: 5, prompt });
  t.equal(result.output.matchesGolden, true);
  t.equal(result.output.tokenIds?.length, 5);
  t.equal(result.board.emulated, (await findLauncher(proven[0]!)).emulated);
});
