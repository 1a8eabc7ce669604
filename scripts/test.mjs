// `npm test`: sets up what the tests need, compiles, runs them with tap and ends with the line "N passed, N failed, N skipped",
// which counts assertions. Arguments are parts of the paths of test files; none: all of them. With --lint the linter counts as
// one more.
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join, sep } from 'node:path';
import { createInterface } from 'node:readline';
import {
  buildTool,
  crossCompilers,
  emulators,
  hostCompiler,
  installTools,
  root,
  testTools,
} from './setup.mjs';

const counts = { passed: 0, failed: 0, skipped: 0 };

/** Compiled test files with one of the words in their paths, by the sources: dist may hold tests that no longer exist. */
function testFiles(words) {
  return readdirSync(join(root, 'test'), { recursive: true })
    .map((name) => join('test', name))
    .filter((name) => name.endsWith('.test.ts'))
    .filter((name) => words.length === 0 || words.some((word) => name.replaceAll(sep, '/').includes(word)))
    .sort()
    .map((name) => join('dist', name.replace(/\.ts$/, '.js')));
}

/** Names begin with a compiled test file: that of its source instead. */
const sourceOf = (name) => name.replace(/^dist.(\S*)\.test\.js/, '$1.test.ts');

function lint() {
  const biome = join(root, 'node_modules', '@biomejs', 'biome', 'bin', 'biome');
  const { status } = spawnSync(process.execPath, [biome, 'check', '.'], { cwd: root, stdio: 'inherit' });
  counts[status === 0 ? 'passed' : 'failed'] += 1;
  console.log(`${status === 0 ? 'ok    ' : 'FAILED'} lint`);
}

/**
 * Reads what tap writes (https://testanything.org/tap-version-14-specification.html): files are subtests, tests are subtests of
 * files. A test point that closes a subtest is not counted, for its parts were; unless it failed and none of them did, as when a
 * process died.
 */
class TapReader {
  open = []; // the subtests that are open, outermost first: { name, failures }
  diagnostics = 0; // indentation of the diagnostics that are being shown; 0: none
  files = 0;

  constructor(total) {
    this.total = total;
  }

  read(line) {
    const indent = line.length - line.trimStart().length;
    const text = line.trim();
    if (this.diagnostics > 0 && (indent >= this.diagnostics || text === '')) {
      console.log(line);
      if (text === '...' && indent === this.diagnostics) this.diagnostics = 0;
      return;
    }
    this.diagnostics = 0;
    const level = indent / 4;
    const subtest = /^# Subtest: (.*)$/.exec(text);
    if (subtest !== null) this.open[level] = { name: subtest[1], failures: counts.failed };
    const point = /^(not ok|ok) \d+(?: - (.*?))?(?: # (time=\S+|(?:SKIP|TODO)\b.*))?$/.exec(text);
    if (point !== null && Number.isInteger(level)) {
      this.point(line, level, point[1] === 'ok', point[2] ?? '', point[3] ?? '');
    }
  }

  point(line, level, isOk, name, directive) {
    const closed = this.open[level];
    const path = sourceOf([...this.open.slice(0, level).map((subtest) => subtest.name), name].join(' > '));
    this.open.length = Math.min(this.open.length, level);
    const isEmptyFile = level === 0 && closed !== undefined && directive.startsWith('SKIP no tests');
    if (isEmptyFile) isOk = false;
    const isAccountedFor = closed !== undefined && (isOk || counts.failed > closed.failures);
    if (!isEmptyFile && /^(SKIP|TODO)/.test(directive)) {
      counts.skipped += 1;
      console.log(`       skipped: ${path} (${directive.replace(/^\w+ ?/, '')})`);
    } else if (!isAccountedFor) {
      counts[isOk ? 'passed' : 'failed'] += 1;
      if (!isOk) {
        console.log(`NOT OK ${path}${isEmptyFile ? ': no tests in this file' : ''}`);
        this.diagnostics = line.length - line.trimStart().length + 2;
      }
    }
    if (level === 0 && closed !== undefined) this.file(isOk, name, directive);
  }

  file(isOk, name, directive) {
    this.files += 1;
    const seconds = /^time=([\d.]+)ms/.exec(directive);
    const took = seconds === null ? '' : `${(Number(seconds[1]) / 1000).toFixed(1)} s`;
    const place = `${this.files}/${this.total}`.padStart(7);
    console.log(`${isOk ? 'ok    ' : 'FAILED'} ${place} ${took.padStart(8)}  ${sourceOf(name)}`);
  }
}

const args = process.argv.slice(2);
await installTools([...hostCompiler, ...crossCompilers, ...emulators, ...testTools]);
buildTool();
if (args.includes('--lint')) lint();
const files = testFiles(args.filter((arg) => !arg.startsWith('--')));
if (files.length === 0) {
  console.log(`no test file has one of these in its path: ${args.join(', ')}`);
  counts.failed += 1;
} else {
  const tap = join(root, 'node_modules', 'tap', 'dist', 'esm', 'run.mjs');
  const child = spawn(process.execPath, [tap, '--reporter=tap', ...files], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  const ended = new Promise((resolve) => child.on('close', resolve));
  const reader = new TapReader(files.length);
  for await (const line of createInterface({ input: child.stdout })) reader.read(line);
  const code = await ended;
  // Files that never came to an end, or a failure that tap did not write down.
  if (reader.files < files.length || (code !== 0 && counts.failed === 0)) counts.failed += 1;
}
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exitCode = counts.failed === 0 ? 0 : 1;
