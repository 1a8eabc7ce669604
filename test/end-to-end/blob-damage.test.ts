/**
 * The compiled library under AddressSanitizer and UBSan: a blob altered in any byte is refused, no argument leads outside the
 * memory it was given, and the whole forward pass is free of undefined behaviour in every weight format.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Manifest } from '../../codegen/bundle/manifest.js';
import { namedPlans, type Plan } from '../../codegen/quantize/plan.js';
import { readHostCpu, whyNotNative } from '../../deploy/host-cpu.js';
import { targets } from '../../targets/index.js';
import { compile, compilers, sanitizerFlags } from '../templates/c-compiler.js';
import {
  buildBundle,
  cannotRun,
  mixedPlans,
  projectRoot,
  smallestModel,
  type TinyModel,
  temporaryFolder,
  tinyModels,
  writeCheckpoint,
} from './tiny-bundles.js';

t.setTimeout(1_800_000);

const driver = join(projectRoot, 'test', 'end-to-end', 'library_driver');

/** The first target that this machine itself can run: sanitizers need more than an emulator gives. */
const target = await (async () => {
  const host = await readHostCpu();
  return targets.find((one) => whyNotNative(one, host) === undefined);
})();

/** The compilers of this machine that come with both sanitizers, and whose programs run; or why there is none. */
const sanitizing = await (async () => {
  const unavailable = target === undefined ? 'no target runs on this machine' : await cannotRun(target);
  if (unavailable !== false) return { skip: unavailable, found: [] };
  const folder = temporaryFolder(t);
  const source = join(folder, 'probe.c');
  writeFileSync(source, 'int main(void) { return 0; }\n');
  const found = compilers.filter((compiler) => {
    if (!['clang', 'gcc'].includes(compiler.command)) return false;
    const program = join(folder, compiler.name);
    try {
      compile(compiler, [...sanitizerFlags, source, '-o', program]);
    } catch {
      return false;
    }
    return spawnSync(program).status === 0;
  });
  return { skip: found.length === 0 && 'no gcc or clang with AddressSanitizer and UBSan', found };
})();
const { skip } = sanitizing;

interface Built {
  readonly bundle: string;
  readonly blob: string;
  readonly manifest: Manifest;
}

async function built(t: Test, model: TinyModel, plan: Plan, prompt: string | null = null): Promise<Built> {
  const folder = temporaryFolder(t);
  const out = join(folder, 'bundle');
  const path = writeCheckpoint(model, join(folder, 'model'));
  const { bundle, manifest } = await buildBundle({ model: path, out, target: target!, plan, prompt });
  return { bundle, blob: join(bundle, 'model.blob'), manifest };
}

/** Compiles the library of a bundle with the driver; em_mem.c stays out, for the sanitizers bring their own memory functions. */
function sanitized(bundle: string, compiler: (typeof compilers)[number]): string {
  const sourcesIn = (folder: string) =>
    readdirSync(folder)
      .filter((name) => name.endsWith('.c') && name !== 'em_mem.c')
      .map((name) => join(folder, name));
  const program = join(bundle, `driver-${compiler.name}`);
  const cpu = target!.toolchains.find(({ family }) => family === compiler.command)!.cpuFlags;
  const warnings = ['-std=c11', '-Wall', '-Wextra', '-Werror'];
  const src = join(bundle, 'src');
  const sources = [...sourcesIn(src), ...sourcesIn(driver)];
  compile(compiler, [...sanitizerFlags, ...cpu, ...warnings, '-I', src, ...sources, '-o', program]);
  return program;
}

/** Runs the driver; the sanitizers must have nothing to say. */
function drive(t: Test, program: string, args: readonly string[]): string[] {
  // Nothing in the library allocates; and looking for leaks needs rights that containers may lack.
  const env = { ...process.env, ASAN_OPTIONS: 'detect_leaks=0' };
  const { stdout, stderr, status } = spawnSync(program, args, { encoding: 'utf8', env });
  t.equal(stderr, '', 'the sanitizers are silent');
  t.equal(status, 0, 'exit code');
  return stdout.split('\n').filter((line) => line !== '');
}

/** Takes each check that the driver printed over as one of this test. */
function driveChecks(t: Test, program: string, args: readonly string[], atLeast: number): void {
  const checks = drive(t, program, args);
  t.ok(checks.length >= atLeast, `at least ${atLeast} checks`);
  for (const line of checks) t.ok(line.startsWith('ok '), line.replace(/^(not )?ok /, ''));
}

t.test('a damaged blob, and arguments out of range', { skip }, async (t) => {
  const one = await built(t, smallestModel, namedPlans.int8!);
  const other = await built(t, { ...smallestModel, seed: 2 }, namedPlans.int8!);
  const payload = one.manifest.memory.blobBytes;
  t.ok(payload < 40_000, `hashing ${payload} bytes once for each of them stays cheap`);
  t.equal(other.manifest.memory.blobBytes, payload, 'the other build has the same shapes');
  const program = sanitized(one.bundle, sanitizing.found[0]!);
  await t.test('damage', async (t) => driveChecks(t, program, ['damage', one.blob], 7));
  await t.test('interface', async (t) => driveChecks(t, program, ['interface', one.blob, other.blob], 21));
});

/** What the digest of a golden run is called with. */
function goldenArguments({ promptIds, tokenIds, sampling }: Manifest['golden'][number]): string[] {
  const { temperatureQ16, topK, topPQ16, seed } = sampling;
  return [promptIds.join(','), ...[tokenIds.length, temperatureQ16, topK, topPQ16, seed].map(String)];
}

const oddWidths = tinyModels.at(-1)!;
const plans = [namedPlans.int8!, namedPlans.int4!, ...mixedPlans];
for (const [i, plan] of plans.entries()) {
  const model = i % 2 === 0 ? oddWidths : tinyModels[i % tinyModels.length]!;
  t.test(`the whole context, ${plan.name}, ${model.name}`, { skip }, async (t) => {
    const { bundle, blob, manifest } = await built(t, model, plan, 'the wind in the winter woods');
    const compiler = sanitizing.found[i % sanitizing.found.length]!;
    const program = sanitized(bundle, compiler);
    t.comment(`compiled by ${compiler.name}`);
    driveChecks(t, program, ['context', blob], 4);
    for (const golden of manifest.golden) {
      const lines = drive(t, program, ['digest', blob, ...goldenArguments(golden)]);
      t.same(
        lines,
        [`ids ${golden.tokenIds.join(',')}`, `digest ${golden.logitsDigest}`],
        'as the reference',
      );
    }
  });
}
