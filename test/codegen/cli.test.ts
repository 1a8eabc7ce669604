/**
 * The program itself: what it prints where, and how it ends. Commands that build are in
 * commands/build.test.ts.
 */

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { embedModel, projectRoot } from './commands/embed-model.js';

t.setTimeout(120_000);

const { version } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as {
  version: string;
};

t.test('version and help', async (t) => {
  t.same(await embedModel(['--version']), { code: 0, stdout: `${version}\n`, stderr: '' });
  const json = await embedModel(['--version', '--json']);
  t.same(JSON.parse(json.stdout), { name: 'embed-model', version });
  const page = await embedModel([]);
  t.match(page, { code: 0, stdout: /usage: embed-model COMMAND/, stderr: '' });
  t.same(await embedModel(['help']), page);
  t.match(await embedModel(['build', '--help']), { code: 0, stdout: /--target NAME/, stderr: '' });
  const tables = JSON.parse((await embedModel(['help', 'run', '--json'])).stdout);
  t.match(tables, { commands: [{ name: 'run', options: Array }] });
});

t.test('errors go to stderr in four lines and end with their exit code', async (t) => {
  const missing = await embedModel(['build']);
  t.equal(missing.code, 2);
  t.equal(missing.stdout, '');
  t.match(
    missing.stderr,
    /^error EM1210: .*\n {2}where: --target\n {2}why: .*x86_64-avx2.*riscv-u74.*\n {2}fix: .*\n$/,
  );
  t.match(await embedModel(['--target', 'cortex-a27']), {
    code: 2,
    stderr: /EM1203[\s\S]*did you mean cortex-a72/,
  });
  t.match(await embedModel(['run', 'x', '--board', 'pi', '--dry-run']), { code: 2, stderr: /EM1206/ });
  t.match(await embedModel(['help', 'bild']), { code: 2, stderr: /EM1201[\s\S]*did you mean build/ });
  t.match(await embedModel(['inspect', 'no/such/place']), { code: 2, stderr: /EM1209/ });
  t.match(await embedModel(['run', 'x', '--prompt', 'a', '--ids', '1']), { code: 2, stderr: /EM1208/ });
});

t.test('with --json an error is the one document, in every state of the command line', async (t) => {
  for (const args of [
    ['build'],
    ['--targte'],
    ['biuld'],
    ['run', 'x', '--seed', 'y'],
    ['inspect', 'no/such/place'],
  ]) {
    const { code, stdout, stderr } = await embedModel([...args, '--json']);
    const { error } = JSON.parse(stdout);
    t.equal(code, 2);
    t.same(Object.keys(error), ['code', 'what', 'where', 'why', 'fix', 'exitCode']);
    t.ok(stderr.startsWith(`error ${error.code}: ${error.what}\n`), args.join(' '));
  }
});

t.test('errors of the program are told as such, with a trace only for --verbose', async (t) => {
  const broken = {
    NODE_OPTIONS: '--import=data:text/javascript,Math.max=()=>{throw(new(RangeError)(`broken`))}',
  };
  const { code, stdout, stderr } = await embedModel(['help'], { env: broken });
  t.equal(code, 3);
  t.equal(stdout, '');
  t.match(
    stderr,
    /^error EM9001: internal error\n {2}where: embed-model .*\n {2}why: {3}broken\n {2}fix: .*report/,
  );
  t.notMatch(stderr, /\bat .*\.js/);
  t.match(
    (await embedModel(['help', '--verbose'], { env: broken })).stderr,
    /caused by RangeError: broken\n +at /,
  );
});

t.test(
  'a full disk under stdout is told',
  { skip: !existsSync('/dev/full') && 'no /dev/full' },
  async (t) => {
    const child = spawn(process.execPath, [join(projectRoot, 'bin', 'embed-model.js'), 'help'], {
      stdio: ['ignore', openSync('/dev/full', 'w'), 'pipe'],
    });
    let stderr = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const [code] = await once(child, 'close');
    t.equal(code, 3);
    t.match(stderr, /^error EM9003: .*\n {2}where: write\n {2}why: {3}ENOSPC/);
  },
);

t.test('the launcher says what it lacks', async (t) => {
  const elsewhere = join(t.testdir(), 'embed-model.js');
  copyFileSync(join(projectRoot, 'bin', 'embed-model.js'), elsewhere);
  const start = (...args: string[]) => spawnSync(process.execPath, args, { encoding: 'utf8' });
  t.match(start(elsewhere), { status: 3, stdout: '', stderr: /^embed-model is not built yet: run npm ci/ });
  const node18 = "Object.defineProperty(process,'versions',{value:{...process.versions,node:'18.1.0'}})";
  const preload = `--import=data:text/javascript,${encodeURIComponent(node18)}`;
  t.match(start(preload, join(projectRoot, 'bin', 'embed-model.js'), 'help'), {
    status: 3,
    stdout: '',
    stderr: /^embed-model needs Node\.js 20 or later/,
  });
});

t.test('a reader that leaves is no error', async (t) => {
  const onStarted = (child: ReturnType<typeof spawn>) => child.stdout?.destroy();
  t.same(await embedModel(['help', 'build'], { onStarted }), { code: 0, stdout: '', stderr: '' });
});

t.test('Ctrl-C: exit code 130, and nothing is left behind', async (t) => {
  const cwd = t.testdir();
  for (const { signals, args } of [
    { signals: ['SIGINT'], args: [] },
    { signals: ['SIGTERM'], args: ['--json'] },
    { signals: ['SIGINT', 'SIGINT'], args: [] },
  ] as const) {
    const { code, stdout, stderr } = await embedModel(['--target', 'x86_64-avx2', ...args], {
      cwd,
      onStarted: async (child) => {
        // The bundled model calibrates for seconds, from when its staging folder is there.
        while (child.exitCode === null && readdirSync(cwd).length === 0) await sleep(10);
        for (const signal of signals) {
          child.kill(signal);
          await sleep(50);
        }
      },
    });
    t.equal(code, 130, `${signals}`);
    t.match(stderr, signals.length === 1 ? /stopping[\s\S]*error EM9002: interrupted/ : /stopping/);
    if (args.length > 0) t.match(JSON.parse(stdout), { error: { code: 'EM9002', exitCode: 130 } });
    t.same(readdirSync(cwd), [], 'nothing is left behind');
  }
});

t.test('targets and doctor', async (t) => {
  const { targets } = JSON.parse((await embedModel(['targets', '--json'])).stdout);
  t.match(targets, [
    { name: 'x86_64-avx2' },
    { name: 'cortex-a72' },
    { name: 'riscv-u74' },
    { name: 'riscv-u74-zb' },
  ]);
  const { stdout } = await embedModel(['targets']);
  for (const { name, description, toolchain } of targets) {
    t.match(stdout, name);
    t.match(stdout, description);
    if (toolchain !== null) t.match(stdout, toolchain);
  }
  const doctor = await embedModel(['doctor', '--json']);
  const { findings } = JSON.parse(doctor.stdout);
  t.ok(findings.length > 8);
  const fails = findings.some(({ status }: { status: string }) => status === 'fail');
  t.equal(doctor.code, fails ? 3 : 0);
});

t.test('--verbose shows the commands of the toolchain', async (t) => {
  t.match((await embedModel(['targets', '--verbose'])).stderr, /^\$ .*-dumpmachine$/m);
  t.equal((await embedModel(['targets'])).stderr, '');
});

t.test('help does not wait for modules it does not need', async (t) => {
  const seen = new Set<string>();
  const visit = (path: string) => {
    if (seen.has(path)) return;
    seen.add(path);
    for (const [, name] of readFileSync(path, 'utf8').matchAll(
      /^(?:import|export)\b[^;]*?from '([^']+)';/gm,
    )) {
      if (name.startsWith('.')) visit(join(dirname(path), name));
      else t.match(name, /^node:/, `${path} imports ${name}`);
    }
  };
  visit(fileURLToPath(new URL('../../codegen/cli.js', import.meta.url)));
  t.ok(seen.size > 20, 'the imports were found');
  t.ok(seen.size < 80, `${seen.size} modules`);
  const heavy = [...seen].filter((path) =>
    /\/(tokenizer|calibrate|layout|emit|deploy)\/|pipeline/.test(path),
  );
  t.same(heavy, []);
});
