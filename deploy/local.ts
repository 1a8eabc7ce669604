/**
 * Runs a program made for a target on this machine: by itself where the CPU can, else under user-mode
 * emulation.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { findProgram } from '../codegen/compile/find-program.js';
import { installCommand } from '../codegen/compile/install-command.js';
import { quoteForReading } from '../codegen/compile/run-tool.js';
import { toolCommands } from '../codegen/compile/tool-commands.js';
import { EmbedError } from '../codegen/diagnostics/error.js';
import type { Target } from '../targets/target.js';
import { readHostCpu, whyNotNative } from './host-cpu.js';

/** 'auto': the host if it can, else the emulator. */
export type LocalMode = 'auto' | 'host' | 'emulator';

export interface LocalRunOptions {
  readonly mode?: LocalMode;
  /** Milliseconds the program may take in all. */
  readonly timeoutMs: number;
  /** Gets output as it comes; what it does not keep is not kept. */
  readonly onStdoutChunk?: (chunk: Buffer) => void;
  readonly onStderrChunk?: (chunk: Buffer) => void;
  /** Stops the program. The result then says so; nothing is thrown. */
  readonly signal?: AbortSignal | undefined;
  readonly cwd?: string;
}

/** How to start programs of a target here. */
export interface LocalLauncher {
  /** Absolute path and arguments that stand before the program, empty on the host. */
  readonly prefix: readonly string[];
  readonly emulated: boolean;
}

export interface LocalRun {
  /** undefined if a signal ended it. */
  readonly exitCode: number | undefined;
  /** E.g. SIGSEGV, also from inside the emulator. */
  readonly endedBySignal: NodeJS.Signals | undefined;
  /** Stopped because `signal` said so. */
  readonly aborted: boolean;
  readonly emulated: boolean;
  /** The last of stderr, at most 16 KiB. */
  readonly stderr: string;
  readonly wallMs: number;
}

/** Time to leave after SIGTERM, before SIGKILL. */
const graceMs = 2000;

const keptStderrBytes = 16 * 1024;

/**
 * How programs of the target can be run here. Throws EM3201 saying what is in the way and what to install.
 */
export async function findLauncher(target: Target, mode: LocalMode = 'auto'): Promise<LocalLauncher> {
  const obstacle = whyNotNative(target, await readHostCpu());
  if (mode !== 'emulator' && obstacle === undefined) {
    return { prefix: [], emulated: false };
  }
  if (mode === 'host') {
    throw new EmbedError('EM3201', { where: target.name, why: obstacle ?? '' });
  }
  const { emulator } = target;
  const program = emulator === null ? undefined : await findProgram(emulator.program);
  if (emulator !== null && program !== undefined) {
    return { prefix: [program, ...emulator.args], emulated: true };
  }
  const reasons = obstacle === undefined ? [] : [obstacle];
  throw new EmbedError('EM3201', {
    where: target.name,
    why: [
      ...reasons,
      emulator === null ? 'the target has no emulator' : `${emulator.program} is not in PATH`,
    ].join(', and '),
    ...(emulator === null ? {} : { fix: `${installCommand([emulator.package])}, or run on a board` }),
  });
}

/**
 * Starts `binary` (a path) with `args` and waits for its end. Throws EM3201 if nothing here can run it,
 * EM3202 if it cannot be started, EM3203 if it is not done in time; a failing program is no error but a
 * result. Nothing is left running.
 */
export async function runLocally(
  target: Target,
  binary: string,
  args: readonly string[],
  options: LocalRunOptions,
): Promise<LocalRun> {
  const { prefix, emulated } = await findLauncher(target, options.mode);
  const command = [...prefix, binary, ...args];
  toolCommands.publish(command.map(quoteForReading).join(' '));
  let running: LocalProcess;
  try {
    running = new LocalProcess(command, emulated, options);
  } catch (error) {
    throw notStarted(command, error as NodeJS.ErrnoException); // some reasons are thrown (E2BIG), others are events (ENOENT)
  }
  return running.end;
}

class LocalProcess {
  readonly end: Promise<LocalRun>;
  private readonly child: ChildProcess;
  private readonly startedAt = performance.now();
  private readonly stderr: Buffer[] = [];
  private stopped: 'timeout' | 'abort' | undefined;
  private readonly timers: NodeJS.Timeout[] = [];

  constructor(
    private readonly command: readonly string[],
    private readonly emulated: boolean,
    private readonly options: LocalRunOptions,
  ) {
    const { cwd, signal, timeoutMs, onStdoutChunk, onStderrChunk } = options;
    this.child = spawn(command[0], command.slice(1), {
      stdio: ['ignore', 'pipe', 'pipe'],
      // Neither the emulator's own settings (QEMU_CPU ...) nor a locale may change what is computed.
      env: { PATH: process.env.PATH, LC_ALL: 'C' },
      ...(cwd === undefined ? {} : { cwd }),
    });
    this.child.stdout?.on('data', (chunk: Buffer) => onStdoutChunk?.(chunk));
    this.child.stderr?.on('data', (chunk: Buffer) => {
      this.keepStderr(chunk);
      onStderrChunk?.(chunk);
    });
    this.timers.push(setTimeout(() => this.stop('timeout'), timeoutMs));
    const onAbort = () => this.stop('abort');
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted) {
      onAbort();
    }
    this.end = this.wait().finally(() => {
      this.timers.forEach(clearTimeout);
      signal?.removeEventListener('abort', onAbort);
    });
  }

  private wait(): Promise<LocalRun> {
    return new Promise((resolve, reject) => {
      this.child.once('error', (error: NodeJS.ErrnoException) => {
        if (this.child.pid === undefined) {
          reject(notStarted(this.command, error));
        }
      });
      // Not 'exit': output that is still in the pipe belongs to the run.
      this.child.once('close', (code, endedBySignal) => {
        if (this.stopped === 'timeout') {
          reject(this.timedOut());
          return;
        }
        resolve({
          exitCode: code ?? undefined,
          endedBySignal: endedBySignal ?? undefined,
          aborted: this.stopped === 'abort',
          emulated: this.emulated,
          stderr: this.stderrText(),
          wallMs: performance.now() - this.startedAt,
        });
      });
    });
  }

  private stop(why: 'timeout' | 'abort'): void {
    if (this.stopped !== undefined) {
      return;
    }
    this.stopped = why;
    this.child.kill('SIGTERM');
    this.timers.push(setTimeout(() => this.child.kill('SIGKILL'), graceMs));
  }

  private keepStderr(chunk: Buffer): void {
    this.stderr.push(chunk);
    const all = Buffer.concat(this.stderr);
    this.stderr.splice(0, this.stderr.length, all.subarray(Math.max(0, all.length - keptStderrBytes)));
  }

  private stderrText(): string {
    return Buffer.concat(this.stderr).toString('utf8');
  }

  private timedOut(): EmbedError {
    const said = this.stderrText().trim().split('\n').at(-1);
    const under = this.emulated ? ' under emulation' : '';
    return new EmbedError('EM3203', {
      where: shown(this.command),
      why: `stopped after ${this.options.timeoutMs / 1000} s${under}${said ? `; last words on stderr: ${said}` : ''}`,
    });
  }
}

function notStarted(command: readonly string[], error: NodeJS.ErrnoException): EmbedError {
  return new EmbedError('EM3202', {
    where: shown(command),
    why: `${error.code ?? 'error'}: ${error.message}`,
    cause: error,
  });
}

/** A prompt may be long; the start of the command is enough to know it by. */
function shown(command: readonly string[]): string {
  const text = command.join(' ');
  return text.length > 200 ? `${text.slice(0, 197)}...` : text;
}
