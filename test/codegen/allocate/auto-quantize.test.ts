/** `--quantize auto` from a checkpoint to a bundle, with its record and its certificate. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { AutoRecord } from '../../../codegen/allocate/auto-record.js';
import { whyNotMeasurable } from '../../../codegen/allocate/certify.js';
import { Pcg32 } from '../../../codegen/arithmetic/pcg32.js';
import type { BuildOptions } from '../../../codegen/build-options.js';
import { hostTarget } from '../../../codegen/evaluate/host-target.js';
import { build } from '../../../codegen/pipeline.js';
import { planBuild } from '../../../codegen/plan-build.js';
import { namedPlans, resolvePlan } from '../../../codegen/quantize/plan.js';
import { encodeFloats } from '../checkpoint/safetensors-writer.js';
import { tinyShapes, tinyValues, writeTinyModel } from '../checkpoint/tiny-model.js';
import { quietContext } from '../evaluate/tiny-bundle.js';

const folder = mkdtempSync(join(tmpdir(), 'em-auto-'));
t.teardown(() => rmSync(folder, { recursive: true }));
process.env.XDG_CACHE_HOME = join(folder, 'cache');

const idsFile = (name: string, seed: bigint, count: number) => {
  const random = new Pcg32(seed);
  const path = join(folder, name);
  writeFileSync(
    path,
    Uint16Array.from({ length: count }, () => random.nextBelow(12)),
  );
  return path;
};
const tensors = Object.fromEntries(
  Object.entries(tinyShapes)
    .filter(([, shape]) => shape.length === 2)
    .map(([name, shape]) => {
      const values = tinyValues(name, shape).map((v) => v / 8);
      return [name, { dtype: 'F32', shape, data: encodeFloats('F32', values) } as const];
    }),
);
const model = writeTinyModel(join(folder, 'model'), { tensors });
const calibration = idsFile('calibration.u16', 1n, 4096);
const validation = idsFile('validation.u16', 2n, 8192);

const obstacle = (await whyNotMeasurable()) ?? false;

t.test('auto', { skip: obstacle }, async (t) => {
  const target = await hostTarget();
  const options = (name: string, rest: Partial<BuildOptions> = {}): BuildOptions => ({
    ...{ target, model, out: join(folder, name), plan: namedPlans.int8!, calibration, validation },
    ...{ auto: { maxBytes: null, asked: true }, maxLoss: 0.02 },
    ...{ context: null, toolchain: null, fetch: false, singleFile: false, tokenizer: false },
    ...{ prompt: null, tokens: 4, threads: 1, run: true, ...rest },
  });
  const recordOf = (bundle: string) =>
    JSON.parse(readFileSync(join(bundle, 'report', 'auto.json'), 'utf8')) as AutoRecord;

  await t.test('searches, certifies and says what it did', async (t) => {
    const { bundle, manifest, result } = await build(options('auto'), quietContext());
    const record = recordOf(bundle);
    t.equal(result.output.matchesGolden, true);
    t.equal(result.quantization.accepted, record.accepted);
    t.equal(record.accepted, true);
    t.equal(result.quantization.name, 'auto');
    const chosen = record.variants[record.chosen]!;
    t.same(manifest.plan, chosen.plan);
    t.equal(
      manifest.tensors.reduce((sum, { bytes }) => sum + bytes, 0),
      chosen.bytes,
    );
    t.ok(Math.abs(chosen.bitsPerWeight - manifest.quantization.bitsPerWeight) < 1e-3);
    const { lnRatio } = record.certification!;
    t.ok(Math.expm1(lnRatio.upper95!) < 0.02, `${lnRatio.upper95}`);
    t.equal(record.certification!.text.sha256, record.texts.certification!.sha256);
    t.same(manifest.quantization.certification!.lnRatio, lnRatio);
    const report = readFileSync(join(bundle, 'report', 'validation_report.json'), 'utf8');
    t.same(JSON.parse(report), record.certification);
    t.equal(record.sensitivities.length, manifest.tensors.length);
    t.ok(record.variants.every(({ evolution }) => evolution === null));
    const [cache] = readdirSync(join(folder, 'cache', 'embed-model', 'sensitivities'));
    t.ok(cache!.endsWith('.jsonl'));

    const again = await build(options('again'), quietContext());
    t.equal(again.manifest.build.quantizedSha256, manifest.build.quantizedSha256, 'deterministic');
    t.same(recordOf(again.bundle), record);
  });

  await t.test('what falls short is built, and not accepted', async (t) => {
    const context = quietContext();
    const { bundle, result } = await build(options('short', { maxLoss: 1e-6, run: false }), context);
    t.equal(result.quantization.accepted, false);
    const { variants, advice } = recordOf(bundle);
    t.equal(variants.at(-1)!.rung, 'int8', 'the whole ladder');
    t.ok(advice.length > 0 && advice.every((line) => context.warnings.includes(line)));
  });

  await t.test('without a validation text nothing is certified', async (t) => {
    const context = quietContext();
    const { bundle, result } = await build(options('open', { validation: null, run: false }), context);
    t.equal(result.quantization.accepted, null);
    t.equal(recordOf(bundle).texts.certification, null);
    t.ok(context.warnings.some((line) => line.startsWith('nothing is certified: --validation')));
  });

  await t.test('within a size, or what would be', async (t) => {
    const most = (maxBytes: number) => options('size', { auto: { maxBytes, asked: true }, run: false });
    const { manifest } = await build(most(20_000), quietContext());
    t.ok(manifest.memory.blobBytes <= 20_000);
    const stages: string[] = [];
    const { XDG_CACHE_HOME } = process.env;
    process.env.XDG_CACHE_HOME = join(folder, 'empty cache'); // no sensitivities are known
    const quiet = quietContext();
    const progress = { ...quiet.progress, begin: (stage: string) => stages.push(stage) };
    const tooSmall = build(most(3000), { ...quiet, progress });
    const { code, why } = await tooSmall.then(
      () => t.fail('built'),
      (error) => error,
    );
    t.match({ code, why }, { code: 'EM2031', why: /3000 are allowed/ });
    t.same(stages, [], 'said before anything else');
    const matricesAlone = Number(/^\d+/.exec(why)![0]);
    const besides = build(most(matricesAlone), { ...quiet, progress });
    await t.rejects(besides, { code: 'EM2031' }, 'header and vectors do not fit beside the matrices');
    process.env.XDG_CACHE_HOME = XDG_CACHE_HOME;
    t.notOk(stages.includes('measure sensitivities'), 'said before anything long');
  });

  await t.test('allocations evolve where that is asked for, and the record holds everyone', async (t) => {
    const auto = { maxBytes: 14_500, generations: 3, asked: true };
    const evolve = (name: string) => build(options(name, { auto, run: false }), quietContext());
    const { bundle, manifest } = await evolve('evolved');
    t.ok(manifest.memory.blobBytes <= auto.maxBytes);
    const record = recordOf(bundle);
    const { plan, bytes, evolution } = record.variants[record.chosen]!;
    t.same(manifest.plan, plan, 'the bundle holds what evolved');
    const { from, start, history, fitness } = evolution!;
    t.equal(history.length, 3);
    const everyone = history.flatMap(({ population }) => population);
    t.ok(everyone.length > 3);
    t.equal(fitness, Math.min(start, ...everyone.map((child) => child.fitness)));
    const named = manifest.tensors.map(({ name }) => ({ name, aliases: [] }));
    const inherited = resolvePlan(from, named, 'from');
    let best = start;
    for (const { population, best: found } of history) {
      const parent = population.find((child) => child.fitness === found);
      if (found < best) for (const { matrix, to } of parent!.changes) inherited.set(matrix, to);
      best = found;
    }
    t.same(new Map(manifest.tensors.map(({ name, format }) => [name, format])), inherited);
    t.ok(fitness < start, `${start} -> ${fitness}`);
    t.equal(bytes, everyone.find((child) => child.fitness === fitness)!.bytes);
    t.same(recordOf((await evolve('evolved again')).bundle), record, 'deterministic');
  });

  await t.test('a plan that was asked for is certified as well', async (t) => {
    const { bundle, result } = await build(options('int8', { auto: null, run: false }), quietContext());
    t.equal(result.quantization.accepted, true);
    t.notOk(readdirSync(join(bundle, 'report')).includes('auto.json'));
  });

  await t.test('too little text: int8, and it is said', async (t) => {
    const short = idsFile('short.u16', 3n, 500);
    const context = quietContext();
    const { result } = await build(options('little', { calibration: short, run: false }), context);
    t.equal(result.quantization.name, 'int8');
    t.ok(
      context.warnings.some((line) => /500 tokens.*auto is int8/.test(line)),
      `${context.warnings}`,
    );
  });

  await t.test('a dry run starts nothing', async (t) => {
    const plan = await planBuild(options('dry'), quietContext());
    t.ok(plan.notes.some((note) => note.includes('judged in float')));
    t.notOk(readdirSync(folder).includes('dry'));
  });
});
