/** Virtual boards that boot a stock Debian kernel under QEMU's system emulation, by SSH or by their serial console. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Test } from 'tap';
import { type Board, boardOf } from '../../deploy/boards/board.js';
import type { Architecture } from '../../targets/target.js';
import { madeOnce } from './board-cache.js';
import { freePort } from './loopback-sshd.js';

export interface Machine {
  readonly name: string;
  readonly arch: Architecture;
  /** Release of Debian that its kernel is of, where that is not the one this machine runs. riscv64 is always of trixie. */
  readonly suite?: 'trixie';
  readonly program: string;
  readonly args: readonly string[];
  readonly console: string;
  /** How many times as long as others it may take for what it does (1). */
  readonly slower?: number;
  /** QEMU's network card; `netdev` n0 is the network. */
  readonly network: (hostForward: string) => readonly string[];
}

const userNet = (device: string) => (forward: string) => [
  '-netdev',
  `user,id=n0,${forward}`,
  '-device',
  device,
];

export const machines: readonly Machine[] = [
  {
    ...{ name: 'x86_64 q35', arch: 'x86_64', program: 'qemu-system-x86_64', console: 'ttyS0' },
    args: ['-accel', 'tcg', '-M', 'q35', '-cpu', 'max', '-m', '512', '-smp', '2'],
    network: userNet('virtio-net-pci,netdev=n0,romfile='),
  },
  {
    ...{ name: 'arm64 cortex-a72', arch: 'aarch64', program: 'qemu-system-aarch64', console: 'ttyAMA0' },
    args: ['-M', 'virt', '-cpu', 'cortex-a72', '-m', '512', '-smp', '2'],
    network: userNet('virtio-net-device,netdev=n0'),
  },
  {
    ...{ name: 'riscv64 sifive_u', arch: 'riscv64', program: 'qemu-system-riscv64', console: 'ttySIF0' },
    args: ['-M', 'sifive_u', '-m', '1G', '-smp', '2'],
    network: (forward) => ['-nic', `user,${forward}`],
  },
  {
    ...{ name: 'riscv64 virt', arch: 'riscv64', program: 'qemu-system-riscv64', console: 'ttyS0' },
    args: ['-M', 'virt', '-m', '1G', '-smp', '2'],
    network: userNet('virtio-net-device,netdev=n0'),
  },
];

/** Kernel, initramfs and login key of an architecture. */
export interface BoardImage {
  readonly kernel: string;
  readonly initramfs: string;
  readonly key: string;
  /** What the initramfs goes on to; what is written there lasts until the board is stopped, through any number of boots. */
  readonly disk?: string;
}

const inPath = (name: string) =>
  (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, name)));

/** Made of Debian packages once and kept; the reason where that is not possible here. EMBED_TEST_BOARDS: where they are kept. */
export function boardImage({ arch, suite, program }: Machine): BoardImage | string {
  const tools = [program, 'apt-get', 'dpkg', 'cpio', 'depmod', 'modprobe', 'xz', 'ssh-keygen'];
  const missing = tools.filter((name) => !inPath(name) && !existsSync(join('/sbin', name)));
  if (missing.length > 0) return `${missing.join(', ')} not installed`;
  const made = madeOnce({
    files: ['test/boards/make-board.sh'],
    name: [arch, ...(suite ? [suite] : [])],
    args: (folder) => [arch, folder, ...(suite ? [suite] : [])],
    makes: ['kernel', 'initramfs.gz', 'version'],
  });
  if (typeof made === 'string') return made;
  const at = (file: string) => join(made.folder, file);
  return { kernel: at('kernel'), initramfs: at('initramfs.gz'), key: at('key') };
}

export interface QemuBoard {
  /** Reached by SSH. */
  readonly ssh: Board;
  /** Reached by its console, where it was started with one; else the same as `ssh`. */
  readonly serial: Board;
  /** Lets the processor run: consoles are opened before, because what nobody reads is lost. */
  begin(): Promise<void>;
  /** Waits until it has said so on its console, at the last of so many boots; only where nobody else reads it. */
  ready(timeoutMs: number, boots?: number): Promise<void>;
  /** As the button does: what was in memory is gone, the kernel starts anew. */
  reset(): Promise<void>;
  stop(): Promise<void>;
}

/** A busy host is late for the timer that an x86 kernel looks at while it boots, which then panics over it. */
const timerQuirk = ({ arch }: { readonly arch: string }) => (arch === 'x86_64' ? ' no_timer_check' : '');

/** `by`: 'serial' gives the console to a pseudo terminal, else it goes to a file. The board is not running yet. */
export async function startQemuBoard(
  t: Test,
  machine: Machine,
  image: BoardImage,
  by: 'ssh' | 'serial',
): Promise<QemuBoard> {
  const folder = mkdtempSync(join(tmpdir(), 'em-qemu-'));
  const port = await freePort();
  const [log, monitor] = [join(folder, 'console'), join(folder, 'monitor')];
  writeFileSync(log, '');
  const child = spawn(
    machine.program,
    [
      ...machine.args,
      ...['-S', '-display', 'none', '-monitor', `unix:${monitor},server,nowait`],
      ...(by === 'serial' ? ['-chardev', 'pty,id=s0', '-serial', 'chardev:s0'] : ['-serial', `file:${log}`]),
      ...['-kernel', image.kernel, '-initrd', image.initramfs],
      ...['-append', `console=${machine.console} panic=-1 quiet${timerQuirk(machine)}`],
      ...(image.disk === undefined ? [] : ['-drive', `file=${image.disk},format=raw,if=virtio,snapshot=on`]),
      ...machine.network(`hostfwd=tcp:127.0.0.1:${port}-:22`),
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-4000);
    });
  }
  const stop = () => stopped(child);
  t.teardown(async () => {
    await stop();
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  });
  for (let tries = 0; tries < 200 && !existsSync(monitor); tries++) await delay(50);
  let path = '';
  for (let tries = 0; by === 'serial' && path === '' && tries < 200; tries++) {
    path = /redirected to (\/dev\/pts\/\d+)/.exec(said)?.[1] ?? '';
    await delay(50);
  }
  const common = {
    ...{ name: machine.name.replaceAll(' ', '-'), emulated: true },
    timeouts: { connect: 60, command: 120 * (machine.slower ?? 1), upload: 900, run: 600 },
  };
  const knownHosts = join(folder, 'known_hosts');
  const settings = {
    host: '127.0.0.1',
    port,
    user: 'root',
    identity: image.key,
    knownHosts,
    config: join(folder, 'none'),
  };
  const ssh = boardOf({ ...common, ssh: settings });
  const tell = (command: string) => monitorCommand(monitor, command);
  return {
    ssh,
    serial: by === 'serial' ? boardOf({ ...common, serial: { port: path } }) : ssh,
    begin: () => tell('cont'),
    reset: () => tell('system_reset'),
    stop,
    async ready(timeoutMs, boots = 1) {
      const until = performance.now() + timeoutMs;
      while (readFileSync(log, 'latin1').split('BOARD-READY').length <= boots) {
        if (child.exitCode !== null || performance.now() > until) {
          throw new Error(`${machine.name} is not ready: ${readFileSync(log, 'latin1').slice(-500)} ${said}`);
        }
        await delay(100);
      }
    },
  };
}

function monitorCommand(path: string, command: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('error', reject);
    socket.once('data', () => {
      socket.write(`${command}\n`);
      setTimeout(() => {
        socket.destroy();
        resolve();
      }, 300);
    });
  });
}

function stopped(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.once('exit', () => resolve());
    child.kill('SIGKILL');
  });
}
