/** A virtual board with a disk, Debian's systemd and OpenSSH, for what happens at boot. */
import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Board } from '../../deploy/boards/board.js';
import { type BoardImage, machines } from './qemu-board.js';

const makeScript = join(
  dirname(fileURLToPath(import.meta.url)),
  '..',
  '..',
  '..',
  'test',
  'boards',
  'make-systemd-board.sh',
);

/** The machine that it runs on. */
export const systemdMachine = machines[0];

/** Made of Debian packages once and kept; the reason where that is not possible here. EMBED_TEST_BOARDS: where it is kept. */
export function systemdImage(): BoardImage | string {
  const tools = [systemdMachine.program, 'debootstrap', 'apt-get', 'cpio', 'depmod', 'mke2fs', 'ssh-keygen'];
  const missing = tools.filter(
    (name) => spawnSync('sh', ['-c', `PATH=$PATH:/sbin:/usr/sbin command -v ${name}`]).status !== 0,
  );
  if (missing.length > 0) return `${missing.join(', ')} not installed`;
  const cache =
    process.env.EMBED_TEST_BOARDS ??
    join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'embed-model', 'test-boards');
  const recipe = createHash('sha256').update(readFileSync(makeScript)).digest('hex').slice(0, 12);
  const folder = join(cache, `systemd-${recipe}`);
  const image = {
    kernel: join(folder, 'kernel'),
    initramfs: join(folder, 'initramfs.gz'),
    key: join(folder, 'key'),
    disk: join(folder, 'disk.img'),
  };
  if (existsSync(image.disk)) return image;
  if (process.arch !== 'x64' || process.getuid?.() !== 0) return 'debootstrap wants root on x86_64';
  const made = spawnSync(makeScript, [folder], { encoding: 'utf8', timeout: 1_800_000 });
  if (made.status === 0) return image;
  const said = made.stderr.trim().split('\n').slice(-2).join(' / ');
  return `the board could not be made of Debian packages: ${made.error?.message ?? said}`;
}

/** The board with another user. */
export function asUser(board: Board, user: string): Board {
  if (board.transport.kind !== 'ssh') return board;
  return { ...board, transport: { ...board.transport, ssh: { ...board.transport.ssh, user } } };
}

/** Runs a script there with the system's own ssh, beside whatever has the lock: what it said, and its exit code. */
export function shellOf({ transport }: Board): (script: string) => Promise<{ said: string; code: number }> {
  if (transport.kind !== 'ssh') throw new Error('only by SSH');
  const { host, port, user, identity, knownHosts } = transport.ssh;
  const options = [
    ...[
      '-F',
      'none',
      '-o',
      `UserKnownHostsFile=${knownHosts}`,
      '-o',
      'BatchMode=yes',
      '-o',
      'ConnectTimeout=60',
    ],
    ...['-i', identity ?? '', '-p', String(port), `${user}@${host}`],
  ];
  return (script) =>
    new Promise((resolve) => {
      execFile(
        'ssh',
        [...options, script],
        { encoding: 'utf8', timeout: 300_000 },
        (error, stdout, stderr) => {
          const code = typeof error?.code === 'number' ? error.code : error === null ? 0 : 255;
          resolve({ said: `${stdout}${stderr}`, code });
        },
      );
    });
}
