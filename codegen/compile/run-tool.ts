/**
 * Runs one program of a toolchain to its end: no shell, no inherited settings, a time limit, and an error that
 * shows all.
 */
import { type SpawnOptions, spawn } from 'node:child_process';
import { EmbedError } from '../diagnostics/error.js';
import { toolCommands } from './tool-commands.js';

export interface ToolOptions {
  readonly cwd?: string;
  /** Milliseconds until the program and everything it started is killed. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
  /** Variables the program gets beside those that every program gets. */
  readonly environment?: NodeJS.ProcessEnv | undefined;
}

export interface ToolOutput {
  readonly stdout: string;
  readonly stderr: string;
}

/** The largest model takes a few seconds a file, on a busy machine ten times that. */
const defaultTimeoutMs = 120_000;

/** What all of these programs say, in the locale they get, where they cannot write. */
const fullDisk = /No space left on device|Disk quota exceeded/;

/** Lines of stderr that go into an error. */
const shownErrorLines = 12;

/**
 * Throws EM3002 (with the command and the first lines of stderr) if the program cannot be started or exits
 * with anything but 0, EM1301 if that was because of a full disk, EM3003 if it is not done in time, EM3007 if `signal` aborts. `command` is the
 * program's path and its arguments.
 */
export async function runTool(command: readonly string[], options: ToolOptions = {}): Promise<ToolOutput> {
  const { cwd, timeoutMs = defaultTimeoutMs, signal, environment } = options;
  const shown = command.map(quoteForReading).join(' ');
  if (signal?.aborted) {
    throw new EmbedError('EM3007', { where: shown, why: 'not started, for the command was interrupted' });
  }
  toolCommands.publish(shown);
  const { $ } = await import('zx/core');
  const running = $({
    quiet: true,
    nothrow: true,
    quote: quoteForReading,
    spawn: starting(command),
    // Its own process group, so that the passes a compiler driver started end with it. zx's own timeout looks
    // for children with `ps`, which small containers do not have.
    detached: process.platform !== 'win32',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...toolEnvironment(), ...environment },
    ...(cwd === undefined ? {} : { cwd }),
  })`${command}`;
  let ended: 'itself' | 'time' | 'abort' = 'itself';
  const stop = (why: 'time' | 'abort') => {
    ended = why;
    killGroup(running.pid);
  };
  const timer = setTimeout(stop, timeoutMs, 'time');
  const onAbort = () => stop('abort');
  signal?.addEventListener('abort', onAbort, { once: true });
  const output = await running.finally(() => {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  });
  const how = ended as 'itself' | 'time' | 'abort';
  if (how === 'abort') {
    throw new EmbedError('EM3007', { where: shown, why: 'stopped, for the command was interrupted' });
  }
  if (how === 'time') {
    throw new EmbedError('EM3003', { where: shown, why: `not done after ${timeoutMs / 1000} s, killed` });
  }
  if (output.exitCode !== 0) {
    const end =
      output.signal === null ? `exit status ${output.exitCode}` : `stopped by signal ${output.signal}`;
    throw new EmbedError(fullDisk.test(output.stderr) ? 'EM1301' : 'EM3002', {
      where: shown,
      why: [end, ...firstLines(output.stderr)].join('\n         '),
    });
  }
  return { stdout: output.stdout, stderr: output.stderr };
}

/** zx makes a line for a shell of a command; given this as its `spawn`, it starts the program itself. */
function starting([program, ...args]: readonly string[]): typeof spawn {
  const start = (_line: string, _args: readonly string[], options: SpawnOptions) =>
    spawn(program, args, { ...options, shell: false });
  return start as typeof spawn;
}

/** What Windows programs need to start, and to find their temporary folder. */
const windowsVariables = [
  'SystemRoot',
  'SystemDrive',
  'TEMP',
  'TMP',
  'USERPROFILE',
  'LOCALAPPDATA',
  'APPDATA',
];

/**
 * What compilers may see: variables such as CPATH, GCC_EXEC_PREFIX or a locale would change what they make or
 * say.
 */
function toolEnvironment(): NodeJS.ProcessEnv {
  const names = ['PATH', 'HOME', 'TMPDIR', ...(process.platform === 'win32' ? windowsVariables : [])];
  const kept = names.map((name) => [name, process.env[name]] as const);
  return { ...Object.fromEntries(kept.filter(([, value]) => value !== undefined)), LC_ALL: 'C', TZ: 'UTC' };
}

/** Kills a program with all that it started. */
function killGroup(pid: number | undefined): void {
  if (pid === undefined) {
    return;
  }
  if (process.platform === 'win32') {
    spawn('taskkill', ['/pid', String(pid), '/t', '/f'], { stdio: 'ignore' });
    return;
  }
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It ended by itself in this moment.
  }
}

function firstLines(text: string): string[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const rest = lines.length - shownErrorLines;
  return rest > 0 ? [...lines.slice(0, shownErrorLines), `... ${rest} more lines`] : lines;
}

/** A command line a reader can paste. */
export function quoteForReading(word: string): string {
  return /^[\w./:=,+@%-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
