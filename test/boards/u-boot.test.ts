/** deploy through U-Boot on virtual boards: loaded over a serial line by loady and loadx, started by go and bootm, golden. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { readManifest } from '../../codegen/bundle/manifest.js';
import { type Board, boardOf, type SerialSettings, type UBootSettings } from '../../deploy/boards/board.js';
import { checkBoard } from '../../deploy/boards/check-board.js';
import { deployBundle } from '../../deploy/deploy-bundle.js';
import { targets } from '../../targets/index.js';
import { embedModel } from '../codegen/commands/embed-model.js';
import { quietContext } from '../codegen/evaluate/tiny-bundle.js';
import { cannotRun, tinyModels, writeCheckpoint } from '../end-to-end/tiny-bundles.js';
import { quickDeploy, scratchFolder, sessionWith } from './board-bundle.js';
import { expectRejection } from './expect-rejection.js';

t.setTimeout(900_000);

const scratch = scratchFolder('u-boot');
const firmware = (name: string) => `/usr/lib/u-boot/${name}/u-boot.bin`;

interface UBootMachine {
  readonly name: string;
  readonly targetName: string;
  readonly bareMetal: string;
  readonly command: readonly [string, ...string[]];
  readonly firmware: string;
  readonly uboot: UBootSettings;
  /** Who sees first that a bit of the weights changed, and what it says. */
  readonly damage: RegExp;
}

const serialOf = ({ transport }: Board) => (transport as { serial: SerialSettings }).serial;

const machines: readonly UBootMachine[] = [
  {
    ...{ name: 'riscv64 virt', targetName: 'riscv-u74', bareMetal: 'virt-riscv64-uboot' },
    command: ['qemu-system-riscv64', '-M', 'virt', '-m', '512', '-kernel', firmware('qemu-riscv64_smode')],
    firmware: firmware('qemu-riscv64_smode'),
    uboot: {},
    damage: /weights: blob payload damaged/,
  },
  {
    // The U-Boot of Debian 12 waits for ever in "go" until the PL011 has nothing to send: its driver says that it always has.
    ...{ name: 'arm64 virt', targetName: 'cortex-a72', bareMetal: 'virt-aarch64-uboot' },
    command: [
      ...(['qemu-system-aarch64', '-M', 'virt', '-cpu', 'cortex-a72', '-m', '512'] as const),
      ...['-bios', firmware('qemu_arm64')],
    ],
    firmware: firmware('qemu_arm64'),
    uboot: { loader: 'loadx', start: 'bootm' },
    damage: /Bad Data CRC/,
  },
];

const inPath = (name: string) =>
  (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, name)));

/** A board whose processor stands still until `begin`: what it says before somebody listens is lost. */
async function startMachine(t: Test, { name, command, uboot }: UBootMachine) {
  const folder = mkdtempSync(join(tmpdir(), 'em-u-boot-'));
  const monitor = join(folder, 'monitor');
  const [program, ...args] = command;
  const child = spawn(
    program,
    [
      ...args,
      ...['-S', '-display', 'none', '-nic', 'none', '-monitor', `unix:${monitor},server,nowait`],
      ...['-chardev', 'pty,id=s0', '-serial', 'chardev:s0'],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
  }
  t.teardown(async () => {
    child.kill('SIGKILL');
    await delay(200);
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  });
  const port = () => /redirected to (\/dev\/pts\/\d+)/.exec(said)?.[1] ?? '';
  for (let tries = 0; tries < 400 && (port() === '' || !existsSync(monitor)); tries++) await delay(50);
  const board: Board = boardOf({
    ...{ name: name.replaceAll(' ', '-'), emulated: true, serial: { port: port(), baud: 4_000_000, uboot } },
    timeouts: { connect: 90, command: 30, upload: 600, run: 300 },
  });
  const begin = () => {
    const socket = connect(monitor);
    socket.once('data', () => socket.end('cont\n'));
  };
  return { board, begin };
}

for (const machine of machines) {
  const { name, targetName, bareMetal, command } = machine;
  const target = targets.find((one) => one.name === targetName)!;
  const skip = !inPath(command[0])
    ? `${command[0]} not installed`
    : !existsSync(machine.firmware)
      ? `${machine.firmware} not installed (u-boot-qemu)`
      : await cannotRun(target);
  t.test(`U-Boot on ${name}`, { skip }, async (t) => {
    const folder = join(scratch, targetName);
    const model = writeCheckpoint(tinyModels[3], join(folder, 'model'));
    const build = (out: string, ...more: string[]) =>
      embedModel(['build', '--target', targetName, '--model', model, '--no-run', '--out', out, ...more], {
        ...{ cwd: folder, env: {} },
      });
    const built = await build('bundle', '--bare-metal', bareMetal);
    t.equal(built.code, 0, built.stderr);
    const bundle = join(folder, 'bundle');
    const { board, begin } = await startMachine(t, machine);
    const deploy = (allowSlow = true) =>
      deployBundle(bundle, board, quickDeploy, { ...sessionWith(), allowSlow }, quietContext());

    setTimeout(begin, 1500);
    const slow = boardOf({
      name: 'slow',
      timeouts: board.limits,
      serial: { port: serialOf(board).port, baud: 300, uboot: machine.uboot },
    });
    const slowly = deployBundle(bundle, slow, quickDeploy, sessionWith(), quietContext());
    await expectRejection(t, 'EM4023', /about \d+\.\d minutes/, slowly);

    const first = await deploy();
    const { golden, bareMetal: image } = readManifest(bundle);
    t.equal(first.output.matchesGolden, true);
    t.equal(first.output.logitsDigest, golden[0]!.logitsDigest);
    t.strictSame(first.output.tokenIds, golden[0]!.tokenIds);
    t.match(first.deployment, { sentBytes: image!.imageBytes, goldenEqual: golden.length });
    t.match(first.board.kernel, /^U-Boot 20\d\d/);
    t.ok(first.speed.tokensPerSecond.median! > 0);

    const check = await checkBoard(board, sessionWith());
    t.match(check, { usable: true, reason: null, kernel: /^U-Boot 20\d\d/ });

    const second = await deploy();
    t.equal(second.deployment.sentBytes, 0, 'it lies there: nothing is sent again');
    t.equal(second.output.matchesGolden, true);

    const path = join(bundle, image!.image);
    const bytes = readFileSync(path);
    bytes[bytes.indexOf(readFileSync(join(bundle, 'model.blob'))) + 5000]! ^= 1;
    writeFileSync(path, bytes);
    await expectRejection(t, 'EM4038', machine.damage, deploy());

    const other = await build('without');
    t.equal(other.code, 0, other.stderr);
    await expectRejection(
      t,
      'EM4025',
      /no bare-metal/,
      deployBundle(join(folder, 'without'), board, quickDeploy, sessionWith(), quietContext()),
    );
  });
}
