/** --dry-run against what the same commands then do. */
import { chmodSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import t, { type Test } from 'tap';
import { commands } from '../../../codegen/commands/index.js';
import { quoteForReading } from '../../../codegen/compile/run-tool.js';
import { zigPackages } from '../../../codegen/compile/zig-cache.js';
import type { DryRun } from '../../../codegen/dry-run.js';
import { targets } from '../../../targets/index.js';
import { cannotRun, temporaryFolder, tinyModels, writeCheckpoint } from '../../end-to-end/tiny-bundles.js';
import { embedModel } from './embed-model.js';

const skips = await Promise.all(targets.map((target) => cannotRun(target)));
const found = targets.findIndex((_, i) => skips[i] === false);
const skip = found < 0 && `no target: ${skips.join('; ')}`;
const target = targets[Math.max(0, found)].name;

t.setTimeout(300_000);

const work = temporaryFolder(t);
const temporary = join(work, 'tmp');
const env = { TMPDIR: temporary, XDG_CACHE_HOME: join(work, 'cache') };
mkdirSync(temporary);
const model = writeCheckpoint(tinyModels[3], join(work, 'model'));
writeFileSync(join(work, 'text.txt'), 'the heron is in the water. the wind is in the reeds. '.repeat(20));

/** What there is below the working folder, but for what Node itself keeps. */
const tree = () =>
  readdirSync(work, { recursive: true, encoding: 'utf8' })
    .filter((name) => !name.includes('v8-compile-cache'))
    .sort();

async function dryRun(t: Test, args: readonly string[], path = process.env.PATH ?? ''): Promise<DryRun> {
  const before = tree();
  const { code, stdout, stderr } = await embedModel([...args, '--dry-run', '--json'], {
    cwd: work,
    env: { ...env, PATH: path },
  });
  t.equal(code, 0, stderr);
  t.strictSame(tree(), before, 'nothing was written');
  return JSON.parse(stdout).dryRun;
}

/** Commands without what differs from process to process. */
const comparable = (line: string) =>
  line
    .replace(/\.embed-model-\d+/g, '.embed-model-PID')
    .replace(/(embed-model-[a-z-]*)\w{6}(?=[/=])/g, '$1XXXXXX');
const planned = ({ commands }: DryRun) =>
  commands.map(({ command }) => comparable(command.map(quoteForReading).join(' ')));

/** Runs the command and returns what --verbose says it started. */
async function started(t: Test, args: readonly string[]): Promise<string[]> {
  const { code, stderr } = await embedModel([...args, '--verbose'], { cwd: work, env });
  t.equal(code, 0, stderr);
  const lines = stderr.split('\n').filter((line) => line.startsWith('$ '));
  return lines.map((line) => comparable(line.slice(2)));
}

const bundle = join(work, 'bundle');

t.test('build: the files with their sizes, and the commands', { skip }, async (t) => {
  const args = [
    '--target',
    target,
    '--model',
    model,
    '--out',
    bundle,
    '--prompt',
    'the wind',
    '--tokens',
    '5',
  ];
  const plan = await dryRun(t, args);
  t.strictSame((await started(t, args)).sort(), planned(plan).sort());
  const files = readdirSync(bundle, { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(join(bundle, name)).isFile())
    .map((name) => ({ path: join(bundle, name), bytes: statSync(join(bundle, name)).size }));
  const byPath = new Map(plan.files.map(({ path, bytes }) => [path, bytes]));
  t.strictSame([...byPath.keys()].sort(), files.map(({ path }) => path).sort());
  const unknown = files
    .filter(({ path }) => byPath.get(path) === null)
    .map(({ path }) => relative(bundle, path));
  t.strictSame(
    unknown.sort(),
    ['bin/em-run', 'manifest.json', 'report/quantization_summary.json', 'report/result.json'].sort(),
  );
  for (const { path, bytes } of files) {
    if (byPath.get(path) !== null) t.equal(byPath.get(path), bytes, relative(bundle, path));
  }
});

t.test('build --single-file --no-run', { skip }, async (t) => {
  const args = [
    '--target',
    target,
    '--model',
    model,
    '--out',
    join(work, 'single'),
    '--single-file',
    '--no-run',
  ];
  const plan = await dryRun(t, args);
  t.notOk(plan.files.some(({ path }) => path.endsWith('model.blob')));
  t.strictSame((await started(t, args)).sort(), planned(plan).sort());
});

t.test('run, verify, eval: the commands in their order', { skip }, async (t) => {
  const run = ['run', bundle, '--ids', '5,6,7', '--tokens', '3', '--temperature', '0.5', '--top-k', '7'];
  t.strictSame(await started(t, run), planned(await dryRun(t, run)));
  const verify = ['verify', bundle, '--layers', '--threads', '2'];
  t.strictSame(await started(t, verify), planned(await dryRun(t, verify)));
  const evaluate = ['eval', bundle, '--text', 'text.txt', '--window', '32'];
  const plan = await dryRun(t, evaluate);
  // Its threads start em-run; --verbose hears of what the main one starts.
  const [runs, others] = [true, false].map((isRun) =>
    planned(plan).filter((line) => line.includes('--windows=') === isRun),
  );
  t.strictSame((await started(t, evaluate)).sort(), others!.sort());
  t.ok(runs!.length > 0);
  t.strictSame(
    plan.files.map(({ path }) => relative(bundle, path)),
    [join('report', 'validation_report.json')],
  );
});

/** A folder of programs that leave a trace when they are started. */
function traps(names: readonly string[]): string {
  const bin = join(work, 'traps');
  mkdirSync(bin, { recursive: true });
  for (const name of names) {
    writeFileSync(join(bin, name), `#!/bin/sh\necho "$0 $*" >> '${join(work, 'was-started')}'\n`);
    chmodSync(join(bin, name), 0o755);
  }
  return bin;
}

const windows = process.platform === 'win32' && 'programs are no scripts on Windows';

t.test('no program is started, whatever is in PATH', { skip: skip || windows }, async (t) => {
  const names = targets.flatMap(({ toolchains, emulator }) => [
    ...toolchains.flatMap(({ command, binutils }) => [
      command[0]!,
      ...(binutils === null ? [] : [...binutils.ar, ...binutils.objdump]),
    ]),
    ...(emulator === null ? [] : [emulator.program]),
  ]);
  const path = traps([...new Set(names)]);
  for (const { name } of targets) {
    const plan = await dryRun(t, ['--target', name, '--model', model, '--out', join(work, 'new')], path);
    t.ok(plan.commands.length > 20, `${name}: ${plan.commands.length} commands`);
  }
  for (const args of [
    ['verify', bundle],
    ['run', bundle, '--emulator', '--prompt', 'the'],
    ['doctor'],
    ['targets'],
  ]) {
    const plan = await dryRun(t, args, path);
    t.ok(plan.commands.length > 0, args.join(' '));
  }
  t.notOk(tree().includes('was-started'));
});

t.test(
  'without any compiler, npm would fetch zig',
  { skip: zigPackages() === undefined && 'no zig for this host' },
  async (t) => {
    const args = ['--target', 'riscv-u74', '--model', model, '--out', join(work, 'new')];
    const plan = await dryRun(t, args, join(work, 'empty'));
    t.match(plan.commands[0]!.command.join(' '), / ci --prefix .*zig-[\d.]+-.*XXXXXX/);
    t.match(plan.commands.at(-1)!.command.join(' '), /zig cc --target=riscv64-linux-musl .*-o .*em-run$/);
    t.match(plan.notes.join('\n'), 'Not run: ');
    const refused = await embedModel([...args, '--dry-run', '--no-fetch'], {
      cwd: work,
      env: { ...env, PATH: join(work, 'empty') },
    });
    t.equal(refused.code, 3);
    t.match(refused.stderr, 'EM3009');
  },
);

t.test('every command knows what it would do, or does nothing', async (t) => {
  for (const command of commands) t.type(command.dryRun, 'function', command.name);
  for (const args of [['help'], ['inspect', model], ['completion', 'bash']]) {
    const [dry, plain] = [await embedModel([...args, '--dry-run']), await embedModel(args)];
    t.strictSame(dry, plain, args[0]);
  }
});

t.test('for people', { skip }, async (t) => {
  const { code, stdout } = await embedModel(['run', bundle, '--prompt', "it's", '--dry-run'], {
    cwd: work,
    env,
  });
  t.equal(code, 0);
  t.match(stdout, /^would write no file\n\nwould start\n.*em-run .*model\.blob .*'--prompt=it'\\''s'$/m);
});
