// `npm test`: sets up what the tests need, compiles, runs them and ends with the line "N passed, N failed, N skipped", which counts
// assertions. Arguments are parts of the paths of test files; none: all of them. With --lint the linter counts as one more.
//
// Every file is a process of its own, as `node dist/test/NAME.test.js` would be: without the runner of tap, which loads modules
// into every Node process that a test starts, so that none of them would be as users have it, nor as fast.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, sep } from 'node:path';
import {
  buildTool,
  crossCompilers,
  emulators,
  hostCompiler,
  installTools,
  root,
  testTools,
} from './setup.mjs';
import { TapReader } from './tap-reader.mjs';

/** A file that takes longer hangs. */
const timeoutSeconds = 1200;
/** tap's own limit, for one test of a file. */
const environment = { ...process.env, TAP_TIMEOUT: '900' };

const total = { passed: 0, failed: 0, skipped: 0 };

/** Test files with one of the words in their paths. What runs whole programs takes longest and comes first. */
function testFiles(words) {
  return readdirSync(join(root, 'test'), { recursive: true })
    .map((name) => join('test', name).replaceAll(sep, '/'))
    .filter((name) => name.endsWith('.test.ts'))
    .filter((name) => words.length === 0 || words.some((word) => name.includes(word)))
    .sort()
    .reverse();
}

/** Runs a Node program; what it writes comes back, with why it ended if that was no success. */
function runNode(args) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, {
      cwd: root,
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr']) {
      child[name].setEncoding('utf8').on('data', (text) => {
        output[name] += text;
      });
    }
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      child.stdout.destroy(); // what it started may live on and keep these open
      child.stderr.destroy();
    }, timeoutSeconds * 1000);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const failure = code === 0 ? undefined : signal === null ? `exit code ${code}` : `ended by ${signal}`;
      resolve({ ...output, failure });
    });
  });
}

function show(name, counts, startedMs, lines) {
  for (const key of Object.keys(total)) total[key] += counts[key];
  done += 1;
  const verdict = counts.failed === 0 ? 'ok    ' : 'FAILED';
  const took = `${((performance.now() - startedMs) / 1000).toFixed(1)} s`;
  console.log(
    [`${verdict} ${`${done}/${all}`.padStart(7)} ${took.padStart(8)}  ${name}`, ...lines].join('\n'),
  );
}

async function runFile(name) {
  const startedMs = performance.now();
  const compiled = join('dist', name.replace(/\.ts$/, '.js'));
  const { stdout, stderr, failure } = await runNode(['--enable-source-maps', compiled]);
  const reader = new TapReader();
  for (const line of stdout.split('\n')) reader.read(line);
  const { counts, lines } = reader;
  if (failure !== undefined && counts.failed === 0) {
    counts.failed += 1;
    lines.push(`       not ok: ${failure}`);
  } else if (counts.passed + counts.failed + counts.skipped === 0) {
    counts.failed += 1;
    lines.push('       not ok: no tests in this file');
  }
  if (counts.failed > 0 && stderr.trim() !== '') lines.push(stderr.trimEnd());
  show(name, counts, startedMs, lines);
}

async function lint() {
  const startedMs = performance.now();
  const { stdout, stderr, failure } = await runNode(['node_modules/@biomejs/biome/bin/biome', 'check', '.']);
  const counts = { passed: failure === undefined ? 1 : 0, failed: failure === undefined ? 0 : 1, skipped: 0 };
  show('lint', counts, startedMs, failure === undefined ? [] : [stdout, stderr]);
}

const args = process.argv.slice(2);
await installTools([...hostCompiler, ...crossCompilers, ...emulators, ...testTools]);
buildTool();

const jobs = testFiles(args.filter((arg) => !arg.startsWith('--'))).map((name) => () => runFile(name));
if (jobs.length === 0) {
  console.log(`no test file has one of these in its path: ${args.join(', ')}`);
  total.failed += 1;
}
if (args.includes('--lint')) jobs.unshift(lint);
let done = 0;
const all = jobs.length;
const worker = async () => {
  for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) await job();
};
await Promise.all(Array.from({ length: Math.min(8, availableParallelism()) }, worker));
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed === 0 ? 0 : 1;
