/** A virtual board with a disk, Debian's systemd and OpenSSH, for what happens at boot. */
import { execFile, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { Board } from '../../deploy/boards/board.js';
import { madeOnce } from './board-cache.js';
import { type BoardImage, machines } from './qemu-board.js';

/** The machine that it runs on. */
export const systemdMachine = machines[0];

/** Made of Debian packages once and kept; the reason where that is not possible here. EMBED_TEST_BOARDS: where it is kept. */
export function systemdImage(): BoardImage | string {
  const tools = [systemdMachine.program, 'debootstrap', 'apt-get', 'cpio', 'depmod', 'mke2fs', 'ssh-keygen'];
  const missing = tools.filter(
    (name) => spawnSync('sh', ['-c', `PATH=$PATH:/sbin:/usr/sbin command -v ${name}`]).status !== 0,
  );
  if (missing.length > 0) return `${missing.join(', ')} not installed`;
  if (process.arch !== 'x64' || process.getuid?.() !== 0) return 'debootstrap wants root on x86_64';
  const made = madeOnce({
    ...{ files: ['test/boards/make-systemd-board.sh'], name: ['systemd'], args: (folder) => [folder] },
    ...{ makes: ['disk.img'], timeoutMs: 1_800_000 },
  });
  if (typeof made === 'string') return made;
  const at = (name: string) => join(made.folder, name);
  return { kernel: at('kernel'), initramfs: at('initramfs.gz'), key: at('key'), disk: at('disk.img') };
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
