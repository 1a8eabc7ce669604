// `npm run demo`: builds the bundled model for every target, runs each here and prints one table.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { root, setUp } from './setup.mjs';

setUp({ tests: false });

const cli = join(root, 'bin', 'embed-model.js');
const targets = ['x86_64-avx2', 'cortex-a72', 'riscv-u74'];
const rows = [];
let failed = false;
for (const target of targets) {
  console.error(`\n${target}`);
  const out = join(root, 'build', 'demo', target);
  const args = [cli, 'build', '--target', target, '--out', out, '--prompt', 'The Linux kernel', '--json'];
  const { stdout, status } = spawnSync(process.execPath, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let result;
  try {
    result = JSON.parse(stdout.toString('utf8'));
  } catch {
    result = undefined;
  }
  if (status !== 0 || result?.schemaVersion !== 1) {
    console.error(`${target}: embed-model ended with exit code ${status}`);
    failed = true;
    continue;
  }
  rows.push(result);
}

const kB = (bytes) => (bytes === null ? '-' : (bytes / 1000).toFixed(1));
const cells = rows.map(({ target, board, speed, files, memory, output }) => [
  target,
  board.transport === null ? 'not run' : board.emulated ? `emulated (${board.name})` : 'this machine',
  speed.tokensPerSecond.median === null ? '-' : speed.tokensPerSecond.median.toFixed(0),
  (files.blobBytes / 1e6).toFixed(2),
  kB(files.textBytes === null ? null : files.textBytes + files.rodataBytes),
  kB(memory.arenaBytes),
  kB(memory.stackBytes),
  output.matchesGolden === null ? '-' : output.matchesGolden ? 'equal' : 'DIFFERENT',
]);
const heads = ['target', 'ran on', 'tokens/s', 'blob MB', 'code kB', 'arena kB', 'stack kB', 'logits'];
const widths = heads.map((head, i) => Math.max(head.length, ...cells.map((row) => row[i].length)));
const line = (row) =>
  row.map((cell, i) => (i < 2 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ');
console.log(`\n${line(heads)}\n${widths.map((w) => '-'.repeat(w)).join('  ')}`);
for (const row of cells) console.log(line(row));
if (rows[0]?.output.text) console.log(`\nThe Linux kernel${rows[0].output.text}`);
console.log('\nSpeed under emulation says nothing about a board. Bundles: build/demo/<target>');
process.exit(failed || rows.some(({ output }) => output.matchesGolden === false) ? 1 : 0);
