/** A real sshd on loopback, as the user that runs the tests: for everything of SSH that needs no board. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Test } from 'tap';
import { type Board, boardOf, type SshSettings } from '../../deploy/boards/board.js';
import { knownHostName } from '../../deploy/ssh/known-hosts.js';

const sshd = ['/usr/sbin/sshd', '/usr/local/sbin/sshd', '/sbin/sshd'].find((path) => existsSync(path));

/** Why tests with an sshd cannot run here; false where they can. */
export const noSshd: string | false = sshd === undefined ? 'sshd is not installed (openssh-server)' : false;

export interface LoopbackSshd {
  readonly port: number;
  /** Folder of keys and configuration, gone after the test. */
  readonly folder: string;
  /** A private key that it takes. */
  readonly key: string;
  /** Public host key, as a line of a .pub file. */
  readonly hostKey: string;
  readonly knownHosts: string;
  readonly user: string;
  /** What is reached at `port` of loopback instead of its own (a proxy). */
  settings(change?: Partial<SshSettings>): SshSettings;
  /** A board whose folder is below the test's own. */
  board(change?: Partial<SshSettings>, rest?: Partial<Board>): Board;
  stop(): Promise<void>;
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

export function makeKey(path: string, type = 'ed25519', passphrase = ''): void {
  execFileSync('ssh-keygen', ['-q', '-t', type, '-N', passphrase, '-f', path]);
}

/** `lines`: more of sshd_config. */
export async function startSshd(
  t: Test,
  lines: readonly string[] = [],
  usedPort?: number,
): Promise<LoopbackSshd> {
  const folder = mkdtempSync(join(tmpdir(), 'em-sshd-'));
  const port = usedPort ?? (await freePort());
  const at = (name: string) => join(folder, name);
  makeKey(at('host'));
  makeKey(at('key'));
  writeFileSync(at('authorized'), readFileSync(at('key.pub')), { mode: 0o600 });
  const hostKey = readFileSync(at('host.pub'), 'utf8').trim();
  const entry = (number: number) =>
    `${knownHostName('127.0.0.1', number)} ${hostKey.split(' ').slice(0, 2).join(' ')}\n`;
  writeFileSync(at('known_hosts'), entry(port));
  writeFileSync(
    at('config'),
    [
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${at('host')}`,
      `PidFile ${at('pid')}`,
      `AuthorizedKeysFile ${at('authorized')}`,
      ...['PasswordAuthentication no', 'KbdInteractiveAuthentication no', 'UsePAM no', 'StrictModes no'],
      ...(lines.some((line) => line.startsWith('PermitRootLogin'))
        ? []
        : ['PermitRootLogin prohibit-password']),
      ...(lines.some((line) => line.startsWith('Subsystem')) ? [] : ['Subsystem sftp internal-sftp']),
      ...(lines.some((line) => line.startsWith('SetEnv')) ? [] : [`SetEnv HOME=${folder}`]),
      ...lines,
      '',
    ].join('\n'),
  );
  // Only sshd of root wants it, and only to be able to leave root.
  if (process.getuid?.() === 0 && !existsSync('/run/sshd')) mkdirSync('/run/sshd');
  const child = spawn(sshd!, ['-D', '-e', '-f', at('config')], { stdio: ['ignore', 'ignore', 'pipe'] });
  child.stderr.on('data', (chunk: Buffer) => writeFileSync(at('log'), chunk, { flag: 'a' }));
  const stop = () => stopped(child);
  t.teardown(async () => {
    await stop();
    child.stderr.removeAllListeners('data'); // the last of its log may come after its end
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  });
  await reachable(port, child, at('log'));
  const { username } = userInfo();
  const settings = (change: Partial<SshSettings> = {}): SshSettings => {
    if (change.port !== undefined) writeFileSync(at('known_hosts'), entry(change.port), { flag: 'a' });
    return {
      ...{ host: '127.0.0.1', port, user: username, identity: at('key'), knownHosts: at('known_hosts') },
      ...{ config: at('no-ssh-config') },
      ...change,
    };
  };
  return {
    ...{ port, folder, hostKey, user: username, key: at('key'), knownHosts: at('known_hosts') },
    ...{ settings, stop },
    board: (change, rest) => ({
      ...boardOf({ name: 'loopback', ssh: settings(change), folder: at('board') }),
      ...rest,
    }),
  };
}

async function reachable(port: number, child: ChildProcess, log: string): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (child.exitCode !== null) break;
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy();
        resolve(true);
      });
      socket.on('error', () => resolve(false));
    });
    if (isOpen) return;
    await delay(50);
  }
  throw new Error(`sshd does not answer: ${existsSync(log) ? readFileSync(log, 'utf8') : 'it says nothing'}`);
}

function stopped(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.once('exit', () => resolve());
    child.kill('SIGKILL');
  });
}
