/** A board that is a shell on a pseudo terminal, behind a line that may lose and change bytes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, constants, existsSync, mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Test } from 'tap';

const inPath = (name: string) =>
  (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, name)));

/** Why there can be none here; false where there can. */
export const noPty: string | false = inPath('socat') ? false : 'socat is not installed';

export interface Noise {
  /** Share of the bytes that are lost, and of those that change. */
  readonly drop: number;
  readonly flip: number;
  /** Such as a kernel message; now and then one comes from the board. */
  readonly message?: string;
  /** Changes what the board says, a chunk at a time. */
  readonly spoil?: (text: string) => string;
}

export interface PtyBoard {
  /** The end that a serial port would be. */
  readonly path: string;
  /** The board's home and temporary folder. */
  readonly folder: string;
  /** Ends the line, as a cable that is pulled. */
  unplug(): void;
  /** The noise from now on. */
  noise: Noise;
}

/** A generator with a seed: a test that fails does so again. */
function randomness(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** A line where both copies of the word that work has begun are damaged, so many times. */
export function losingBegins(count: number): { readonly noise: Noise; readonly lost: () => number } {
  let lost = 0;
  const spoil = (text: string) =>
    text.replace(/@\+(\d+)@\+\d+/g, (all, sequence) => (lost++ < count ? `&+${sequence}` : all));
  return { noise: { drop: 0, flip: 0, spoil }, lost: () => Math.min(lost, count) };
}

/** Waits until socat has made a file, at most 10 s. */
async function appears(path: string): Promise<void> {
  for (let tries = 0; tries < 200 && !existsSync(path); tries++) await delay(50);
}

/** `shell`: what runs on the board's terminal. */
export async function startPtyBoard(
  t: Test,
  shell: string,
  noise: Noise = { drop: 0, flip: 0 },
): Promise<PtyBoard> {
  const folder = mkdtempSync(join(tmpdir(), 'em-pty-'));
  const path = join(folder, 'line');
  for (const name of ['home', 'tmp']) mkdirSync(join(folder, name));
  const children: ChildProcess[] = [];
  const start = (args: readonly string[]) => {
    const env = {
      PATH: process.env.PATH,
      HOME: join(folder, 'home'),
      TMPDIR: join(folder, 'tmp'),
      PS1: '# ',
      TERM: 'vt100',
    };
    const child = spawn('socat', args, { env, stdio: ['ignore', 'ignore', 'inherit'] });
    children.push(child);
    return child;
  };
  const [boardEnd, lineEnd] = [join(folder, 'board'), join(folder, 'noisy')];
  const board: PtyBoard = { path, folder, noise, unplug: () => children[1]?.kill('SIGKILL') };
  const server = createServer((line) => {
    const far = connect(boardEnd);
    const random = randomness(4711);
    const disturbed = (chunk: Buffer, messages: boolean) => {
      const out: number[] = [];
      for (const byte of chunk) {
        if (random() < board.noise.drop) continue;
        out.push(random() < board.noise.flip ? byte ^ (1 << Math.floor(random() * 7)) : byte);
        const { message } = board.noise;
        if (messages && message !== undefined && byte === 10 && random() < 0.2)
          out.push(...Buffer.from(message));
      }
      return Buffer.from(out);
    };
    line.on('data', (chunk) => far.write(disturbed(chunk, false)));
    const spoiled = (chunk: Buffer) =>
      Buffer.from(board.noise.spoil?.(chunk.toString('latin1')) ?? chunk.toString('latin1'), 'latin1');
    far.on('data', (chunk) => line.write(disturbed(spoiled(chunk), true)));
    for (const [one, other] of [
      [line, far],
      [far, line],
    ] as const) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(lineEnd, resolve));
  start([`UNIX-LISTEN:${boardEnd}`, `EXEC:${shell},pty,setsid,ctty,stderr,echo=1`]);
  await appears(boardEnd);
  start([`PTY,link=${path},rawer,wait-slave`, `UNIX-CONNECT:${lineEnd}`]);
  let held: number | null = null;
  t.teardown(async () => {
    for (const child of children) child.kill('SIGKILL');
    server.close();
    if (held !== null) closeSync(held);
    await delay(100);
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  });
  await appears(path);
  // A line stays when nobody has it open; a pseudo terminal goes unless somebody has.
  held = openSync(path, constants.O_RDWR | constants.O_NOCTTY);
  return board;
}
