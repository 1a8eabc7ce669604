/** A real labgrid farm on loopback: coordinator and exporter of the current release, from PyPI in a virtual environment. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Test } from 'tap';
import { cacheFolder } from '../../codegen/compile/cache-folder.js';
import { freePort } from './loopback-sshd.js';

/** Folder with labgrid-client and its relatives, or why there is none. Installed once, kept in the cache folder. */
export function labgridPrograms(): { bin: string } | string {
  const folder = join(cacheFolder(), 'test-labgrid');
  const bin = join(folder, 'bin');
  if (existsSync(join(bin, 'labgrid-coordinator'))) return { bin };
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(cacheFolder(), { recursive: true });
  const made = spawnSync('python3', ['-m', 'venv', folder], { encoding: 'utf8' });
  if (made.status !== 0) return 'python3 cannot make a virtual environment';
  const got = spawnSync(join(bin, 'pip'), ['install', '--quiet', 'labgrid'], {
    encoding: 'utf8',
    timeout: 300_000,
  });
  if (got.status === 0) return { bin };
  rmSync(folder, { recursive: true, force: true });
  return `labgrid cannot be had from PyPI: ${got.stderr.trim().split('\n').at(-1)?.slice(0, 200) ?? 'pip failed'}`;
}

export interface LabgridFarm {
  /** HOST:PORT of the coordinator. */
  readonly coordinator: string;
  /** labgrid-client as somebody who works at the farm. */
  client(...args: readonly string[]): string;
  /** The same as another user. */
  other(...args: readonly string[]): string;
  /** Makes a place of the resources of a group, and waits until they are there. */
  place(name: string, group: string, cls: string): Promise<void>;
}

/** `groups`: what is exported, by group and class. */
export async function startFarm(
  t: Test,
  bin: string,
  groups: Readonly<Record<string, Readonly<Record<string, object>>>>,
): Promise<LabgridFarm> {
  const folder = mkdtempSync(join(tmpdir(), 'em-labgrid-'));
  const coordinator = `127.0.0.1:${await freePort()}`;
  const log = join(folder, 'log');
  const children: ChildProcess[] = [];
  const start = (name: string, args: readonly string[]) => {
    const child = spawn(join(bin, name), args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => writeFileSync(log, chunk, { flag: 'a' }));
    children.push(child);
  };
  t.teardown(async () => {
    for (const child of children) {
      for (const stream of [child.stdout, child.stderr]) stream?.removeAllListeners('data');
      child.kill('SIGKILL');
    }
    await delay(200);
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  });
  writeFileSync(join(folder, 'exports.yaml'), JSON.stringify(groups)); // YAML holds JSON
  const run = (user: string, args: readonly string[]) =>
    execFileSync(join(bin, 'labgrid-client'), ['--coordinator', coordinator, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...(user === '' ? {} : { LG_USERNAME: user, LG_HOSTNAME: 'elsewhere' }) },
    });
  const farm: LabgridFarm = {
    coordinator,
    client: (...args) => run('', args),
    other: (...args) => run('somebody', args),
    async place(name, group, cls) {
      farm.client('-p', name, 'create');
      farm.client('-p', name, 'add-match', `*/${group}/*`);
      await until(() => farm.client('-p', name, 'show').includes(cls), log);
    },
  };
  start('labgrid-coordinator', ['--listen', coordinator]);
  await until(() => succeeds(() => farm.client('places')), log);
  start('labgrid-exporter', ['--coordinator', coordinator, '--name', 'shelf', 'exports.yaml']);
  return farm;
}

function succeeds(work: () => unknown): boolean {
  try {
    work();
    return true;
  } catch {
    return false;
  }
}

async function until(isSo: () => boolean, log: string): Promise<void> {
  for (let tries = 0; tries < 40; tries++) {
    if (isSo()) return;
    await delay(500);
  }
  throw new Error(
    `the farm does not start: ${existsSync(log) ? readFileSync(log, 'utf8').slice(-1000) : ''}`,
  );
}
