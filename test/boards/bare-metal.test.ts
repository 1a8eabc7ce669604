/** Images without an operating system, under QEMU: tokens on the UART, with the logits of the golden runs; damage is told of. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import t from 'tap';
import { bareMetalBoards } from '../../codegen/bare-metal/bare-metal-board.js';
import { targets } from '../../targets/index.js';
import { buildOrReason, scratchFolder } from './board-bundle.js';

t.setTimeout(600_000);

const scratch = scratchFolder('bare');
const emulators: Readonly<Record<string, readonly string[]>> = {
  'virt-aarch64': ['qemu-system-aarch64', '-M', 'virt', '-cpu', 'cortex-a72', '-m', '512'],
  raspi3b: ['qemu-system-aarch64', '-M', 'raspi3b'],
  'virt-riscv64': ['qemu-system-riscv64', '-M', 'virt', '-m', '512', '-bios', 'none'],
  sifive_u: ['qemu-system-riscv64', '-M', 'sifive_u', '-smp', '2', '-m', '1G', '-bios', 'none'],
};
const targetNames = { aarch64: ['cortex-a72', 'aarch64-swar'], riscv64: ['riscv-u74'], x86_64: [] } as const;

interface Boot {
  /** What the UART said, and QEMU. */
  readonly said: string;
  /** Exit code of QEMU; null where the test ended it. */
  readonly code: number | null;
}

/** Until the machine is switched off; one that cannot switch itself off is ended when the program is done. */
function boot([program = '', ...args]: readonly string[], image: string, endsItself: boolean): Promise<Boot> {
  return new Promise((resolve, reject) => {
    const serial = ['-display', 'none', '-monitor', 'none', '-serial', 'stdio', '-kernel', image];
    const child = spawn(program, [...args, ...serial], { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    const limit = setTimeout(() => child.kill('SIGKILL'), 240_000);
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString('latin1');
      if (!endsItself && /^(passed|failed: .*)\r?\n/m.test(said)) child.kill('SIGKILL');
    });
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString('latin1');
    });
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(limit);
      resolve({ said, code });
    });
  });
}

const inPath = (name: string) =>
  (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, name)));

/** A copy of the image with one bit changed at `offset` of its weights. */
function damaged(image: string, blob: Buffer, offset: number): string {
  const bytes = readFileSync(image);
  const weights = bytes.indexOf(blob);
  if (weights === -1) throw new Error(`${image} does not hold the weights in one piece`);
  bytes[weights + offset]! ^= 1;
  const path = `${image}.${offset}`;
  writeFileSync(path, bytes);
  return path;
}

for (const { name, arch, powerOff } of bareMetalBoards.filter(({ start }) => start === 'reset')) {
  const emulator = emulators[name]!;
  const skip = !inPath(emulator[0]!) && `${emulator[0]} not installed`;
  for (const targetName of targetNames[arch]) {
    t.test(`${targetName} on ${name}`, { skip }, async (t) => {
      const target = targets.find((one) => one.name === targetName);
      const folder = join(scratch, `${name}-${targetName}`);
      const built = await buildOrReason(folder, target, 'os-nano', { bareMetal: name });
      if (typeof built === 'string') {
        t.plan(0, built);
        return;
      }
      const { bundle, manifest } = built;
      const image = join(bundle, manifest.bareMetal!.image);
      const { said, code } = await boot(emulator, image, powerOff !== null);
      for (const run of manifest.golden) t.match(said, `digest ${run.logitsDigest}, as golden`, said);
      t.match(said, /[1-9]\d* cycles a token\r\n/);
      t.match(said, /^passed\r\n/m);
      t.equal(code, powerOff === null ? null : 0, 'it switches itself off where it can');

      const blob = readFileSync(join(bundle, 'model.blob'));
      for (const [offset, why] of [
        [9, 'blob header or table damaged|not a blob of this version'],
        [blob.length - 1, 'blob payload damaged'],
      ] as const) {
        const second = await boot(emulator, damaged(image, blob, offset), powerOff !== null);
        t.match(second.said, new RegExp(`^failed: weights: (?:${why})`, 'm'), `a bit of byte ${offset}`);
        t.notMatch(second.said, /digest|passed/, 'and nothing is computed');
      }
      t.comment(`${name} ${targetName}: ${JSON.stringify(manifest.bareMetal)}`);
    });
  }
}
