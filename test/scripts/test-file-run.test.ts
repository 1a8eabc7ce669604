import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { projectRoot } from '../codegen/commands/embed-model.js';

interface TestFileRun {
  readonly total: { readonly passed: number; readonly failed: number; readonly skipped: number };
  run(names: readonly string[], settings: { readonly jobs: number; readonly lint?: boolean }): Promise<void>;
  stop(): void;
}

const { TestFileRun } = (await import(join(projectRoot, 'scripts', 'test-file-run.mjs'))) as {
  TestFileRun: new (settings: {
    readonly root: string;
    readonly timeoutSeconds: number;
    readonly write: (text: string) => void;
  }) => TestFileRun;
};

/** A package with the given files and this one's node_modules. */
function packageWith(t: Test, files: Readonly<Record<string, string>>): string {
  const root = t.testdir();
  for (const [name, content] of Object.entries({ 'package.json': '{"type":"module"}', ...files })) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), content);
  }
  symlinkSync(join(projectRoot, 'node_modules'), join(root, 'node_modules'), 'junction');
  return root;
}

/** Runs one test file with this body. */
async function runFile(t: Test, body: string, timeoutSeconds = 120) {
  const root = packageWith(t, { 'dist/test/it.test.js': body });
  const written: string[] = [];
  const run = new TestFileRun({ root, timeoutSeconds, write: (text) => written.push(text) });
  await run.run(['test/it.test.ts'], { jobs: 2 });
  t.equal(written.length, 1);
  return { root, total: run.total, text: written.join('\n') };
}

t.test('a file that passes, with one test skipped', async (t) => {
  const { total, text } = await runFile(
    t,
    `import t from 'tap'; t.test('a', async (t) => { t.ok(1); t.ok(2); }); t.skip('with a board', () => {});`,
  );
  t.strictSame(total, { passed: 2, failed: 0, skipped: 1 });
  t.match(text, /^ok +1\/1 +[\d.]+ s {2}test\/it\.test\.ts\n +skipped: with a board/);
});

t.test('a file with a failed assertion', async (t) => {
  const { total, text } = await runFile(
    t,
    `import t from 'tap'; t.test('outer', async (t) => { t.ok(true); t.equal(1, 2, 'one is two'); });`,
  );
  t.strictSame(total, { passed: 1, failed: 1, skipped: 0 });
  t.match(text, /^FAILED +1\/1 .*\n +not ok: outer > one is two\n/);
  t.match(text, '+1');
});

t.test('a file that throws', async (t) => {
  const { total, text } = await runFile(t, `import t from 'tap'; t.ok(true); throw new Error('broken');`);
  t.equal(total.failed, 1);
  t.match(text, 'broken');
});

t.test('a file that cannot be loaded', async (t) => {
  const { total, text } = await runFile(t, `import './missing.js';`);
  t.strictSame(total, { passed: 0, failed: 1, skipped: 0 });
  t.match(text, 'not ok: exit code 1');
  t.match(text, 'ERR_MODULE_NOT_FOUND');
});

t.test('a file that crashes after its tests passed', async (t) => {
  const { total, text } = await runFile(
    t,
    `import t from 'tap'; t.ok(true); process.on('exit', () => process.abort());`,
  );
  t.equal(total.failed, 1);
  t.match(text, process.platform === 'win32' ? 'not ok: exit code' : 'not ok: ended by SIGABRT');
});

t.test('a file that ends early as if all were well', async (t) => {
  const { total, text } = await runFile(
    t,
    `console.log('TAP version 14\\nok 1 - a'); process.exit(0); console.log('ok 2 - b\\n1..2');`,
  );
  t.strictSame(total, { passed: 1, failed: 1, skipped: 0 });
  t.match(text, 'not ok: the output ends before the plan');
});

t.test('a file without tests', async (t) => {
  const { total, text } = await runFile(t, `import 'tap';`);
  t.strictSame(total, { passed: 0, failed: 1, skipped: 0 });
  t.match(text, 'not ok: no tests in this file');
});

/** Whether a process is there and no zombie. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const status = `/proc/${pid}/status`;
  return !existsSync(status) || !/^State:\s+Z/m.test(readFileSync(status, 'utf8'));
}

/** Waits for a process to end; false if it does not in half a minute. */
async function ends(pid: number): Promise<boolean> {
  for (let i = 0; i < 300 && isAlive(pid); i++) await sleep(100);
  return !isAlive(pid);
}

const startsAnother = `
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'inherit' });
writeFileSync('pid', String(child.pid));
child.unref();
console.log('TAP version 14\\nok 1 - a');
`;
const windows = process.platform === 'win32' && 'process groups are not on Windows';

t.test('a file that hangs is ended with all that it started', { skip: windows }, async (t) => {
  const { root, total, text } = await runFile(t, `${startsAnother}setInterval(() => {}, 1000);`, 3);
  t.strictSame(total, { passed: 1, failed: 1, skipped: 0 });
  t.match(text, 'not ok: no end after 3 s');
  t.ok(await ends(Number(readFileSync(join(root, 'pid'), 'utf8'))), 'nothing is left');
});

t.test('a file that leaves a process behind does not hold up the others', { skip: windows }, async (t) => {
  const { root, total } = await runFile(t, `${startsAnother}console.log('1..1');`);
  t.strictSame(total, { passed: 1, failed: 0, skipped: 0 });
  t.ok(await ends(Number(readFileSync(join(root, 'pid'), 'utf8'))), 'nothing is left');
});

t.test('stop ends what runs', { skip: windows }, async (t) => {
  const root = packageWith(t, {
    'dist/test/it.test.js': `${startsAnother}setInterval(() => {}, 1000);`,
  });
  const run = new TestFileRun({ root, timeoutSeconds: 600, write: () => {} });
  const ended = run.run(['test/it.test.ts'], { jobs: 1 });
  for (let i = 0; i < 300 && !existsSync(join(root, 'pid')); i++) await sleep(100);
  run.stop();
  await ended;
  t.equal(run.total.failed, 1);
});

t.test('the linter is one assertion', async (t) => {
  const lintOf = async (source: string) => {
    const root = packageWith(t, {
      'biome.json': '{ "files": { "includes": ["src/**"] } }\n',
      'src/a.js': source,
      'dist/test/it.test.js': `import t from 'tap'; t.ok(true);`,
    });
    const written: string[] = [];
    const run = new TestFileRun({ root, timeoutSeconds: 120, write: (text) => written.push(text) });
    await run.run(['test/it.test.ts'], { jobs: 1, lint: true });
    return { total: run.total, text: written.join('\n') };
  };
  const clean = await lintOf('export const one = 1;\n');
  t.strictSame(clean.total, { passed: 2, failed: 0, skipped: 0 });
  const dirty = await lintOf('var one = 1; export {one}');
  t.strictSame(dirty.total, { passed: 1, failed: 1, skipped: 0 });
  t.match(dirty.text, /FAILED +1\/2 .* lint\n/);
  t.match(dirty.text, 'src/a.js');
});

t.test('the command refuses what it does not know, before it sets up anything', async (t) => {
  const script = join(projectRoot, 'scripts', 'test.mjs');
  try {
    execFileSync(process.execPath, [script, '--tier=board'], { stdio: 'pipe', encoding: 'utf8' });
    t.fail('it went on');
  } catch (error) {
    const { status, stderr } = error as { status: number; stderr: string };
    t.equal(status, 2);
    t.match(stderr, 'unknown: --tier=board');
    t.match(stderr, '--tier=boards');
  }
});
