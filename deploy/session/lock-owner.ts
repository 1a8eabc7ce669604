/** Who holds a board, as the lock on it says. */
import { readFileSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';

export interface LockOwner {
  readonly user: string;
  readonly host: string;
  readonly pid: number;
  /** Start of the process in clock ticks after boot, so that a process that has the number again is told apart; empty: unknown. */
  readonly started: string;
  /** Boot id of the owner's machine; empty: unknown. */
  readonly hostBoot: string;
  /** Boot id of the board. */
  readonly boardBoot: string;
  /** UTC, ISO 8601, by the owner's clock. For people only: clocks jump. */
  readonly since: string;
  /** Makes every lock another one. */
  readonly token: string;
}

const fields = ['user', 'host', 'pid', 'started', 'hostBoot', 'boardBoot', 'since', 'token'] as const;

/** Ours: only this process may remove it. */
export function ownLock(boardBoot: string, token: string): LockOwner {
  return {
    user: userInfo().username,
    host: hostname(),
    pid: process.pid,
    started: processStart(process.pid) ?? '',
    hostBoot: hostBootId(),
    boardBoot,
    since: new Date().toISOString().replace(/\.\d+Z$/, 'Z'),
    token,
  };
}

/** One word without anything a shell or a file name could stumble over. */
export function encodeOwner(owner: LockOwner): string {
  const clean = (value: string | number) =>
    String(value)
      .replace(/[^A-Za-z0-9.:@-]/g, '-')
      .slice(0, 60);
  return ['em-lock', ...fields.map((field) => clean(owner[field]))].join('_');
}

/** null where it is no lock of ours. */
export function decodeOwner(text: string): LockOwner | null {
  const [mark, ...values] = text.trim().split('_');
  if (mark !== 'em-lock' || values.length !== fields.length) return null;
  const entries = fields.map((field, index) => [
    field,
    field === 'pid' ? Number(values[index]) : values[index],
  ]);
  return Object.fromEntries(entries) as unknown as LockOwner;
}

/** Why nobody holds the lock any more, or null where somebody may. */
export function whyStale(owner: LockOwner, boardBoot: string): string | null {
  if (owner.boardBoot !== '' && boardBoot !== '' && owner.boardBoot !== boardBoot) {
    return 'the board was restarted since';
  }
  if (owner.host !== encoded(hostname())) return null; // who else's processes live cannot be seen from here
  if (owner.hostBoot !== '' && owner.hostBoot !== hostBootId()) return 'its machine was restarted since';
  const started = processStart(owner.pid);
  if (started === null) return isAlive(owner.pid) ? null : `its process ${owner.pid} is gone`;
  return owner.started === '' || owner.started === started ? null : `its process ${owner.pid} is gone`;
}

/** For people. */
export const describeOwner = ({ user, host, pid, since }: LockOwner): string =>
  `${user}@${host}, process ${pid}, since ${since}`;

const encoded = (value: string) => value.replace(/[^A-Za-z0-9.:@-]/g, '-').slice(0, 60);

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Field 22 of /proc/PID/stat; null where there is no such process, or no /proc. */
function processStart(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}

function hostBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}
