/** `npm run bench` as a whole, on the smallest shape. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { findTarget } from '../../targets/index.js';
import { cannotRun } from '../end-to-end/tiny-bundles.js';
import type { Benchmark } from './measurement.js';
import { projectRoot } from './project-root.js';

const folder = mkdtempSync(join(tmpdir(), 'em-bench-main-'));
t.teardown(() => rmSync(folder, { recursive: true }));
const target = await findTarget('riscv-u74');
const obstacle = await cannotRun(target);
const native = await findTarget(
  { arm64: 'cortex-a72', riscv64: 'riscv-u74' }[process.arch as string] ?? 'x86_64-avx2',
);
const noSpeed = await cannotRun(native);

function bench(...args: string[]) {
  const main = join(projectRoot, 'dist', 'test', 'bench', 'main.js');
  const words = [main, '--shapes', '260K', '--formats', 'w5', '--out', join(folder, 'out'), ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8' });
  return { status, stdout, stderr };
}

const results = () => JSON.parse(readFileSync(join(folder, 'out', 'benchmarks.json'), 'utf8')) as Benchmark;

t.test('instructions of an emulated target', { skip: obstacle }, async (t) => {
  const ended = bench('--targets', target.name, '--no-speed', '--profile');
  t.equal(ended.status, 0, ended.stderr);
  t.match(ended.stdout, '| 260K | w5 | riscv-u74 |');
  t.match(ended.stdout, '### 260K w5, riscv-u74');
  const [measured] = results().measurements;
  t.equal(measured!.speed, null);
  const { decode, prefill, cachedPosition } = measured!.instructions!;
  // A multiplication or more takes less than an instruction and more than a hundredth of one; attention has 640 a position.
  t.ok(decode > measured!.macs / 100 && decode < 100 * measured!.macs, `decode ${decode}`);
  t.ok(prefill > decode / 20 && prefill < 5 * decode, `prefill ${prefill}`);
  t.ok(cachedPosition > 10 && cachedPosition < decode / 10, `cached position ${cachedPosition}`);
  const sum = measured!.profile!.reduce((total, one) => total + one.instructions, 0);
  t.ok(Math.abs(sum / decode - 1) < 1e-6, 'every instruction belongs to a function');
  t.ok(measured!.profile!.some((one) => one.function.startsWith('em_attention')));
});

t.test('speed of this machine', { skip: noSpeed }, async (t) => {
  const ended = bench('--targets', native.name, '--no-instructions', '--repeat', '1');
  t.equal(ended.status, 0, ended.stderr);
  const { measurements, bandwidth } = results();
  if (measurements[0]!.speed === null) {
    t.notMatch(ended.stdout, 'Speed on this machine', 'the target is emulated here');
    return;
  }
  const { speed, instructions, blobBytes } = measurements[0]!;
  t.equal(instructions, null);
  t.ok(bandwidth.length > 5 && bandwidth.every(({ bytesPerSecond }) => bytesPerSecond > 1e6));
  t.match(speed, { matchesGolden: true });
  t.ok(speed!.decode.median > 0 && speed!.prefill > 0);
  t.ok(speed!.bytesPerToken > 0.8 * blobBytes && speed!.bytesPerToken < 3 * blobBytes);
  t.match(ended.stdout, /\| 260K \| w5 \| \d+/);
  t.match(readFileSync(join(folder, 'out', 'benchmarks.svg'), 'utf8'), '260K w5');
});

t.test('what it does not know', async (t) => {
  t.match(bench('--help'), { status: 0, stdout: /--quick[\s\S]*--write-docs/ });
  t.match(bench('--shape', '15M'), { status: 2, stderr: /error: .*--shape/ });
  t.match(bench('--targets', 'cortex-a27'), { status: 2, stderr: /EM1203[\s\S]*cortex-a72/ });
});
