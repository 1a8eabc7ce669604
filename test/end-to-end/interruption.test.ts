/** Ctrl-C at any stage, and disks that are full or not writable: a code, a reason, and nothing left behind. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { treeHashes } from '../../codegen/bundle/bundle-files.js';
import { targets } from '../../targets/index.js';
import {
  type CommandEnd,
  cannotRun,
  commandLine,
  embedModel,
  temporaryFolder,
  tinyModels,
  writeCheckpoint,
} from './tiny-bundles.js';

t.setTimeout(1_800_000);

const host = targets.find(({ name }) => name === 'x86_64-avx2')!;
const emulated = targets.find(({ name }) => name === 'riscv-u74')!;
const noHost = await cannotRun(host);
const noEmulator = await cannotRun(emulated);

/** A fresh place for one command: a working directory, a temporary folder, and a checkpoint outside both. */
function place(t: Test) {
  const root = temporaryFolder(t);
  const [work, temporary] = ['work', 'temporary'].map((name) => join(root, name)) as [string, string];
  for (const folder of [work, temporary]) mkdirSync(folder);
  const model = writeCheckpoint(tinyModels[0]!, join(root, 'model'));
  const buildArguments = ['build', '--target', host.name, '--model', model, '--prompt', 'the wind'];
  return { root, work, temporary, model, buildArguments, env: { TMPDIR: temporary, HOME: root } };
}

/** Processes of this machine that were started with a path in `folder`. */
function processesIn(folder: string): string[] {
  const ids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return ids.flatMap((id) => {
    try {
      const words = readFileSync(`/proc/${id}/cmdline`, 'utf8').split('\0').join(' ');
      return words.includes(folder) ? [words] : [];
    } catch {
      return []; // it ended
    }
  });
}

function checkError(t: Test, { code, stderr }: CommandEnd, error: string, exit: number): void {
  t.equal(code, exit, 'exit code', { stderr });
  t.match(stderr, new RegExp(`error ${error}: `));
  t.notMatch(stderr, /^ +at .*:\d+:\d+/m, 'no stack trace');
}

// ---- Ctrl-C -----------------------------------------------------------------------------------------------------

/** Stages of the bundled model's build by the line that ends them; the signal comes while the next one works. */
const stages = ['calibrate', 'quantize', 'golden runs', 'emit', 'compile'];

for (const stage of stages) {
  t.test(`Ctrl-C after the stage "${stage}"`, { skip: noEmulator }, async (t) => {
    const { root, work, temporary, env } = place(t);
    let sent = false;
    const end = await embedModel(
      ['build', '--target', emulated.name, '--out', 'new/folder/bundle', '--tokens', '900'],
      {
        cwd: work,
        env,
        onStderr: (stderr, child) => {
          if (sent || !stderr.includes(`${stage}: `)) return;
          sent = true;
          child.kill('SIGINT');
        },
      },
    );
    t.ok(sent, 'the stage came');
    checkError(t, end, 'EM9002', 130);
    t.same(readdirSync(work), [], 'nothing in the working directory');
    t.same(readdirSync(temporary), [], 'nothing in the temporary folder');
    t.same(processesIn(root), [], 'no process');
  });
}

for (const [signal, delay] of [
  ['SIGINT', 300],
  ['SIGTERM', 600],
  ['SIGINT', 1200],
  ['SIGHUP', 1800],
] as const) {
  t.test(`${signal} after ${delay} ms leaves an earlier bundle as it was`, { skip: noHost }, async (t) => {
    const { root, work, temporary, buildArguments, env } = place(t);
    const bundle = join(work, 'bundle');
    const args = [...buildArguments, '--out', bundle];
    t.equal((await embedModel(args, { cwd: work, env })).code, 0);
    const before = treeHashes(bundle);
    let timer: NodeJS.Timeout | undefined;
    const end = await embedModel([...args, '--quantize', 'int4'], {
      cwd: work,
      env,
      // Counted from the first words, when the program has begun to listen to signals.
      onStderr: (_, child) => {
        timer ??= setTimeout(() => child.kill(signal), delay);
      },
    });
    clearTimeout(timer);
    t.same(readdirSync(work), ['bundle'], 'nothing beside the bundle');
    t.same(readdirSync(temporary), [], 'nothing in the temporary folder');
    t.same(processesIn(root), [], 'no process');
    if (end.code === 0) {
      t.comment('the build was faster than the signal');
      t.match(JSON.parse(readFileSync(join(bundle, 'manifest.json'), 'utf8')), { plan: { name: 'int4' } });
    } else {
      checkError(t, end, 'EM9002', 130);
      t.same(treeHashes(bundle), before, 'every file of the bundle is as it was');
    }
  });
}

// ---- Output folders ---------------------------------------------------------------------------------------------

t.test('a bundle is replaced as a whole', { skip: noHost }, async (t) => {
  const { work, buildArguments, env } = place(t);
  const bundle = join(work, 'bundle');
  const run = (...more: string[]) =>
    embedModel([...buildArguments, '--out', 'bundle', ...more], { cwd: work, env });
  mkdirSync(bundle); // an empty folder is taken
  t.equal((await run()).code, 0);
  const first = treeHashes(bundle);
  writeFileSync(join(bundle, 'report', 'validation_report.json'), '{}');
  t.equal((await run('--quantize', 'int4')).code, 0);
  const second = treeHashes(bundle);
  t.same(Object.keys(second), Object.keys(first), 'nothing of the earlier bundle is left');
  t.not(second['model.blob'], first['model.blob']);
  t.same(readdirSync(work), ['bundle'], 'and nothing beside it');

  writeFileSync(
    join(work, 'plan.json'),
    JSON.stringify({ schemaVersion: 1, rules: [{ match: 'x', format: 'w8' }] }),
  );
  checkError(t, await run('--quantize', 'plan.json'), 'EM2001', 2);
  t.same(treeHashes(bundle), second, 'a build that fails leaves it as it was');
  rmSync(join(work, 'plan.json'));
  t.same(readdirSync(work), ['bundle']);
});

t.test('an output folder that is not ours is left alone', { skip: noHost }, async (t) => {
  const { work, buildArguments, env } = place(t);
  const run = (out: string) => embedModel([...buildArguments, '--out', out], { cwd: work, env });
  mkdirSync(join(work, 'foreign'));
  writeFileSync(join(work, 'foreign', 'thesis.tex'), 'years of work');
  mkdirSync(join(work, 'other'));
  writeFileSync(join(work, 'other', 'manifest.json'), '{"name": "an app of the web"}');
  writeFileSync(join(work, 'file'), 'a file');
  const before = treeHashes(work);
  checkError(t, await run('foreign'), 'EM1302', 2);
  checkError(t, await run('other'), 'EM1302', 2);
  checkError(t, await run('file'), 'EM1302', 2);
  checkError(t, await run('file/bundle'), 'EM1301', 2);
  checkError(t, await run(`new/${'long'.repeat(80)}`), 'EM1301', 2);
  t.same(treeHashes(work), before);
  t.same(readdirSync(work), ['file', 'foreign', 'other'], 'no folder was made');
});

/** Words that start a program without the rights of root, or a reason why that cannot be. */
function withoutRoot(): { prefix: readonly string[]; skip: string | false } {
  if (process.getuid?.() !== 0) return { prefix: [], skip: false };
  const prefix = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
  const { status } = spawnSync(prefix[0]!, [...prefix.slice(1), process.execPath, commandLine, '--version']);
  return { prefix, skip: status !== 0 && 'root without setpriv, or a project that others cannot read' };
}

const user = withoutRoot();
t.test('an output folder without permission', { skip: noHost || user.skip }, async (t) => {
  const { root, work, temporary, buildArguments, env } = place(t);
  for (const folder of [root, temporary]) chmodSync(folder, 0o777);
  chmodSync(work, 0o555);
  const end = await embedModel([...buildArguments, '--out', 'bundle'], {
    cwd: work,
    env,
    prefix: user.prefix,
  });
  checkError(t, end, 'EM1301', 2);
  t.match(end.stderr, /permission denied/);
  t.same(readdirSync(work), []);
});

// ---- Full disks -------------------------------------------------------------------------------------------------

/** Words before a shell script that may mount what it likes: the mounts go with it. */
const ownMounts = [
  'unshare',
  '--mount',
  ...(process.getuid?.() === 0 ? [] : ['--map-root-user']),
  'sh',
  '-c',
];
const noMounts = (() => {
  const [program, ...words] = [...ownMounts, 'mount -t tmpfs -o size=64k tmpfs "$1"', 'sh', tmpdir()];
  return spawnSync(program!, words).status !== 0 && 'no right to mount a tmpfs';
})();

interface DiskEnd extends CommandEnd {
  /** Kilobytes in use at the end, and the paths of what is there. */
  readonly used: number;
  readonly left: readonly string[];
}

/** Runs embed-model with a tmpfs mounted at `disk`; `settings` as mount takes them. */
async function withDisk(
  disk: string,
  settings: string,
  args: readonly string[],
  options: { cwd: string; env: Record<string, string> },
): Promise<DiskEnd> {
  const script = `
    disk=$1; settings=$2; shift 2
    mount -t tmpfs -o "$settings" tmpfs "$disk" || exit 99
    "$@"; code=$?
    echo; echo "disk: $(df -k --output=used "$disk" | tail -n 1)"; find "$disk" -mindepth 1
    exit $code`;
  const prefix = [...ownMounts, script, 'sh', disk, settings];
  const end = await embedModel(args, { ...options, prefix });
  const [used, ...left] = end.stdout.split('\ndisk: ').at(-1)!.trimEnd().split('\n');
  return { ...end, used: Number(used), left };
}

t.test('a full disk', { skip: noHost || noMounts }, async (t) => {
  const { root, temporary, work, buildArguments, env } = place(t);
  const disk = join(root, 'disk');
  mkdirSync(disk);
  const args = [...buildArguments, '--out', join(disk, 'bundle')];
  const build = (kilobytes: number) => withDisk(disk, `size=${kilobytes}k`, args, { cwd: work, env });

  const enough = await build(32768);
  t.equal(enough.code, 0, 'with room it works', { stderr: enough.stderr });
  t.ok(enough.left.includes(join(disk, 'bundle', 'report', 'result.json')));
  t.ok(enough.used > 200 && enough.used < 32768, `${enough.used} kB`);

  // From nothing at all to all but the last file: it ends while blob, sources, runner or records are written.
  for (const share of [0, 0.02, 0.15, 0.3, 0.6, 0.9, 1]) {
    const kilobytes = Math.max(4, Math.floor(enough.used * share) - 4);
    const end = await build(kilobytes);
    checkError(t, end, 'EM1301', 2);
    t.match(end.stderr, /no space left on device/i, `${kilobytes} kB`);
    t.same(end.left, [], `nothing left on a disk of ${kilobytes} kB`);
    t.same(readdirSync(temporary), [], 'nothing in the temporary folder');
  }
});

t.test('a full temporary folder', { skip: noHost || noMounts }, async (t) => {
  const { work, temporary, buildArguments, env } = place(t);
  for (const kilobytes of [4, 60]) {
    const args = [...buildArguments, '--out', 'bundle'];
    const end = await withDisk(temporary, `size=${kilobytes}k`, args, { cwd: work, env });
    checkError(t, end, 'EM1301', 2);
    t.match(end.stderr, /no space left on device/i, `${kilobytes} kB`);
    t.same(end.left, [], 'nothing in the temporary folder');
    t.same(readdirSync(work), [], 'nothing in the working directory');
  }
});

t.test('a disk that is read only', { skip: noHost || noMounts }, async (t) => {
  const { root, work, buildArguments, env } = place(t);
  const disk = join(root, 'disk');
  mkdirSync(disk);
  const args = [...buildArguments, '--out', join(disk, 'bundle')];
  const end = await withDisk(disk, 'ro', args, { cwd: work, env });
  checkError(t, end, 'EM1301', 2);
  t.match(end.stderr, /read-only file system/i);
});
