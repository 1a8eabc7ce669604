import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { benchSummary } from '../../codegen/commands/bench-summary.js';
import { build } from '../../codegen/pipeline.js';
import { namedPlans } from '../../codegen/quantize/plan.js';
import { type BenchOptions, benchBundle, runnerAllowanceBytes } from '../../deploy/bench-bundle.js';
import type { RunRecord } from '../../deploy/records.js';
import { rateOf, speedOf } from '../../deploy/result.js';
import { RunCollector } from '../../deploy/run-outcome.js';
import { findTarget } from '../../targets/index.js';
import { embedModel } from '../codegen/commands/embed-model.js';
import { buildTinyBundle, editManifest, quietContext } from '../codegen/evaluate/tiny-bundle.js';
import { buildBundle, cannotRun } from '../end-to-end/tiny-bundles.js';

const folder = mkdtempSync(join(tmpdir(), 'em-bench-'));
t.teardown(() => rmSync(folder, { recursive: true }));

const target = await findTarget(
  { arm64: 'cortex-a72', riscv64: 'riscv-u74' }[process.arch as string] ?? 'x86_64-avx2',
);
const obstacle = await cannotRun(target);
const options: BenchOptions = { promptTokens: 5, tokens: 6, repeat: 2, threads: 1, mode: 'auto' };

/** What a run came to whose prompt and tokens took so many nanoseconds. */
function outcomeOf(promptNs: number, tokenNs: readonly number[]) {
  const collector = new RunCollector();
  const add = (record: RunRecord) => collector.add({ type: 'record', sequence: 1, record });
  for (const [index, ns] of tokenNs.entries()) add({ kind: 'token', index, id: index, ns, text: '' });
  const rest = {
    allLogits: false,
    decoded: tokenNs.length - 1,
    decodeNs: 0,
    min: 0,
    p50: 0,
    p90: 0,
    p99: 0,
    max: 0,
  };
  add({ kind: 'timing', threads: 1, promptTokens: 4, promptNs, ...rest, milliTokensPerSecond: 0 });
  return collector.outcome();
}

t.test('rates of many runs', async (t) => {
  t.same(rateOf([]), { median: null, p5: null, p95: null });
  t.same(rateOf([2]), { median: 500, p5: 500, p95: 500 });
  const ascending = Array.from({ length: 100 }, (_, i) => i + 1);
  t.same(rateOf(ascending), { median: 20, p5: 10.526, p95: 200 }, '50 ms, 95 ms and 5 ms, nearest rank');

  const runs = [
    outcomeOf(8e6, [1e6, 2e6, 2e6]),
    outcomeOf(4e6, [3e6, 4e6, 10e6]),
    outcomeOf(40e6, [5e6]),
  ] as const;
  t.match(speedOf(runs), {
    promptTokens: 4,
    promptTokensPerSecond: 500,
    generatedTokens: 3,
    tokensPerSecond: { median: 500, p5: 100, p95: 500 },
    timeToFirstTokenMs: 9,
    msPerToken: { p50: 2, p90: 10, p99: 10 },
  });
});

t.test('a bundle of this machine', { skip: obstacle }, async (t) => {
  const { bundle, manifest } = await buildTinyBundle(join(folder, 'tiny'), target);
  const result = await benchBundle(bundle, options, quietContext());
  t.match(result, {
    schemaVersion: 1,
    target: target.name,
    speed: { threads: 1, promptTokens: 5, generatedTokens: 6 },
    output: { prompt: null, matchesGolden: true, logitsDigest: /^[0-9a-f]{16}$/ },
    bench: { repeats: 2 },
  });
  const { speed, memory, output, bench } = result;
  t.equal(output.promptIds?.length, 5);
  t.equal(output.tokenIds?.length, 6);
  for (const rate of [speed.tokensPerSecond, bench.promptTokensPerSecond]) {
    t.ok(rate.p5! > 0 && rate.p5! <= rate.median! && rate.median! <= rate.p95!);
  }
  const { p50, p90, p99 } = speed.msPerToken;
  t.ok(p50! > 0 && p50! <= p90! && p90! <= p99!);
  t.ok(speed.timeToFirstTokenMs! > 0);

  const { blobBytes, arenaBytes } = manifest.memory;
  t.equal(bench.peakRssLimitBytes, blobBytes + arenaBytes + runnerAllowanceBytes);
  if (!result.board.emulated) {
    t.ok(memory.peakRssBytes! > 0);
    t.equal(bench.peakRssWithinLimit, true, `${memory.peakRssBytes} of ${bench.peakRssLimitBytes}`);
    t.same(result.warnings, []);
  }
  t.match(benchSummary(result), /prefill +5 tokens[\s\S]*decode +5 tokens[\s\S]*equal to the golden ones/);
});

t.test('under emulation', { skip: obstacle }, async (t) => {
  const { bundle } = await buildTinyBundle(join(folder, 'emulated'), target);
  const result = await benchBundle(bundle, { ...options, mode: 'emulator' }, quietContext());
  t.match(result, {
    board: { emulated: true, transport: 'emulator' },
    memory: { peakRssBytes: null },
    bench: { peakRssWithinLimit: null },
  });
  t.match(
    benchSummary(result),
    /emulated: says nothing about a board[\s\S]*not measured: it would be that of/,
  );
});

t.test('a text that ends does not end a measurement', { skip: obstacle }, async (t) => {
  const first = await buildTinyBundle(join(folder, 'endless'), target);
  const { output } = await benchBundle(first.bundle, options, quietContext());
  const path = join(first.model, 'config.json');
  const config = JSON.parse(readFileSync(path, 'utf8'));
  writeFileSync(path, JSON.stringify({ ...config, eos_token_id: output.tokenIds![1] }));
  const { bundle } = await build(
    {
      ...{
        target,
        model: first.model,
        out: join(folder, 'ending'),
        plan: namedPlans.int8!,
        calibration: null,
      },
      ...{ context: null, toolchain: null, fetch: false, singleFile: false, tokenizer: false },
      ...{ prompt: null, tokens: 4, threads: 1, run: false },
    },
    quietContext(),
  );
  const ids = output.promptIds!.join();
  const ended = await embedModel(['run', bundle, '--ids', ids, '--tokens', '6', '--json', '--quiet']);
  t.ok(JSON.parse(ended.stdout).output.tokenIds.length <= 2, 'run ends there');
  const result = await benchBundle(bundle, options, quietContext());
  t.equal(result.output.tokenIds?.length, 6);
});

t.test('what cannot be measured, or is not as promised', { skip: obstacle }, async (t) => {
  const { bundle, manifest } = await buildTinyBundle(join(folder, 'wrong'), target);
  const { context } = manifest;
  await t.rejects(benchBundle(bundle, { ...options, promptTokens: context }, quietContext()), {
    code: 'EM1204',
  });
  const whole = await benchBundle(bundle, { ...options, promptTokens: null, tokens: null }, quietContext());
  t.ok(whole.speed.promptTokens! + whole.speed.generatedTokens! <= context, 'defaults fit any context');

  const good = manifest.golden[0]!;
  editManifest(bundle, () => ({ golden: [{ ...good, logitsDigest: '0123456789abcdef' }] }));
  const words = ['bench', bundle, '--repeat', '1', '--prompt-tokens', '2', '--tokens', '2'];
  const different = await embedModel([...words, '--json', '--quiet']);
  t.equal(different.code, 1);
  t.equal(JSON.parse(different.stdout).output.matchesGolden, false);

  const planned = await embedModel([...words, '--dry-run', '--json']);
  const { commands } = JSON.parse(planned.stdout).dryRun;
  t.equal(commands.length, 3, 'golden, warm-up, one repeat');
  t.match(commands[2].command.join(' '), /em-run.*--no-digest --ignore-end/);

  t.match(await embedModel(['bench']), { code: 2, stderr: /EM1210[\s\S]*BUNDLE/ });
  t.match(await embedModel(['bench', join(folder, 'nowhere')]), { code: 2, stderr: /EM1401/ });
  t.match(await embedModel(['bench', bundle, '--repeat', '0']), { code: 2, stderr: /EM1202[\s\S]*1 to/ });
  t.match(await embedModel(['bench', bundle, '--host', '--emulator']), { code: 2, stderr: /EM1208/ });
});

t.test('more memory than promised', { skip: obstacle }, async (t) => {
  const { bundle } = await buildBundle({ target, model: null, out: join(folder, 'bundled') });
  const words = ['bench', bundle, '--repeat', '1', '--prompt-tokens', '2', '--tokens', '2', '--host'];
  const honest = await embedModel(words);
  // A native run needs a processor of the target; without, there is no memory to compare.
  if (honest.code === 3) {
    t.match(honest.stderr, /EM3201/);
    return;
  }
  t.match(honest, { code: 0, stdout: /within the limit/ });
  editManifest(bundle, ({ memory }) => ({ memory: { ...memory, blobBytes: 0, arenaBytes: 0 } }));
  t.match(await embedModel(words), { code: 1, stdout: /ABOVE the limit[\s\S]*warning +peak memory of/ });
});
