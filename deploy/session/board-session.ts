/** A board that is ours for a while: connected, looked at, locked; given back whatever happens. */
import { setTimeout as delay } from 'node:timers/promises';
import { EmbedError } from '../../codegen/diagnostics/error.js';
import type { Progress } from '../../codegen/progress.js';
import type { Target } from '../../targets/target.js';
import type { Board } from '../boards/board.js';
import { type BoardFacts, factsScript, parseFacts, requireFit } from './board-facts.js';
import { type BoardLink, type CommandEnd, shellWord } from './board-link.js';
import { BoardLock } from './board-lock.js';
import { openLink } from './open-link.js';
import { remotePath } from './remote-path.js';

export interface SessionOptions {
  /** Whether the key of a host that is not known yet is taken. */
  readonly acceptNew: boolean;
  /** Milliseconds to wait for a board that somebody else has. */
  readonly waitMs: number;
  /** Whether to take the lock from whoever has it. */
  readonly force: boolean;
  /** Whether an upload may take longer than slowUploadMs. */
  readonly allowSlow: boolean;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** Milliseconds between attempts to connect again. */
const reconnectDelays = [500, 1000, 2000, 4000, 8000];

/** What giving a board back may take, after whatever happened. */
const farewellMs = 15_000;

export class BoardSession {
  private lock: BoardLock | null = null;

  private constructor(
    readonly board: Board,
    readonly options: SessionOptions,
    private current: BoardLink,
    readonly facts: BoardFacts,
    /** Folder of embed-model on the board, absolute. */
    readonly root: string,
  ) {}

  /**
   * Connects, looks whether the board can run programs of the target, and takes its lock. Nothing stays behind where it throws:
   * EM4003, EM4010 to EM4015, EM4020, EM4021, EM4030 to EM4035.
   */
  static async open(board: Board, target: Target | null, options: SessionOptions): Promise<BoardSession> {
    const { acceptNew, signal } = options;
    const link = await openLink(board, { acceptNew, signal });
    try {
      const timeoutMs = board.limits.command * 1000;
      const facts = parseFacts((await link.run(factsScript, { timeoutMs, signal })).stdout);
      requireFit(link.address, facts, target, board.features);
      const root = await makeRoot(link, board.folder, timeoutMs, signal);
      const session = new BoardSession(board, options, link, facts, root);
      await session.takeLock();
      return session;
    } catch (error) {
      await link.close();
      throw error;
    }
  }

  get link(): BoardLink {
    return this.current;
  }

  /** Runs a small script; its end is the caller's to judge. */
  command(script: string): Promise<CommandEnd> {
    const { signal } = this.options;
    return this.current.run(script, { timeoutMs: this.board.limits.command * 1000, signal });
  }

  /**
   * Work that can be begun again where it stopped: after a cut it is, over a new connection, as often as it gets further. Throws
   * what the work throws, EM4036 if the board was started anew in between.
   */
  async throughCuts<T>(work: () => Promise<T>, progressMade: () => number): Promise<T> {
    for (let reached = progressMade(); ; ) {
      try {
        return await work();
      } catch (error) {
        if (!isCut(error)) throw error;
        const isFurther = progressMade() > reached;
        reached = progressMade();
        if (!isFurther) throw error;
        this.options.progress.warn(`${error.why}; connecting again`);
        await this.reconnect(error);
      }
    }
  }

  /** After a cut: why it happened, as far as the board can be asked. EM4036 if it was started anew, else `error` itself. */
  async explainCut(error: EmbedError): Promise<EmbedError> {
    try {
      await this.reconnect(error);
      return error;
    } catch (found) {
      return found instanceof EmbedError ? found : error;
    }
  }

  /** Connects again, patiently. Throws EM4036 if it is another boot, else `cut`, the error that made this necessary. */
  async reconnect(cut: EmbedError): Promise<void> {
    const { acceptNew, signal } = this.options;
    const board = {
      ...this.board,
      limits: { ...this.board.limits, connect: Math.min(this.board.limits.connect, 15) },
    };
    for (const ms of reconnectDelays) {
      await delay(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
      let link: BoardLink;
      try {
        link = await openLink(board, { acceptNew, signal });
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof EmbedError && error.code === 'EM4010') continue;
        throw error;
      }
      await this.current.close();
      this.current = link;
      const { stdout } = await this.command('cat /proc/sys/kernel/random/boot_id 2>/dev/null');
      if (stdout.trim() === this.facts.bootId) return;
      this.lock = null; // the lock says that it is of another boot: it holds nobody back
      throw new EmbedError('EM4036', {
        where: link.address,
        why: `its boot id changed; before that: ${cut.why}`,
      });
    }
    throw cut;
  }

  /** Gives the lock back and ends the connection. Never throws: what could not be done is told as a warning. */
  async close(): Promise<void> {
    try {
      if (this.lock !== null) await this.giveBack(this.lock);
    } catch (error) {
      const why = error instanceof EmbedError ? error.why : String(error);
      this.options.progress.warn(
        `the lock of ${this.board.name} stays: ${why}. The next command from this machine takes it over, once this process is gone`,
      );
    } finally {
      this.lock = null;
      await this.current.close().catch(() => {});
    }
  }

  private async giveBack(lock: BoardLock): Promise<void> {
    const pid = shellWord(this.runnerPidFile);
    // A process number may have been given to another process: only one that works in a bundle is ended.
    const stopRunner = `p=$(cat ${pid} 2>/dev/null) || exit 0; rm -f ${pid}
case "$(readlink /proc/$p/cwd)" in ${shellWord(`${this.root}/bundles`)}/*) kill -9 $p ;; esac`;
    for (const ms of [0, 500, 2000]) {
      if (ms > 0) await delay(ms);
      if (this.current.broken) {
        const limits = {
          ...this.board.limits,
          connect: Math.min(this.board.limits.connect, farewellMs / 1000),
        };
        const link = await openLink({ ...this.board, limits }, { acceptNew: this.options.acceptNew }).catch(
          () => null,
        );
        if (link === null) continue;
        await this.current.close();
        this.current = link;
      }
      await this.current.run(stopRunner, { timeoutMs: farewellMs });
      await lock.release(this.current, farewellMs);
      return;
    }
    throw new EmbedError('EM4014', { where: this.current.address, why: 'no connection to give it back' });
  }

  /** Holds the process id of the program while it runs. */
  get runnerPidFile(): string {
    return `${this.root}/em-run.pid`;
  }

  private async takeLock(): Promise<void> {
    const { waitMs, force, signal, progress } = this.options;
    this.lock = await BoardLock.take(this.current, this.root, this.facts.bootId, {
      waitMs,
      force,
      signal,
      timeoutMs: this.board.limits.command * 1000,
      tell: (message) => progress.warn(message),
    });
  }
}

const isCut = (error: unknown): error is EmbedError => error instanceof EmbedError && error.code === 'EM4014';

/** Makes the folder of embed-model and returns its absolute path. Throws EM4033. */
async function makeRoot(
  link: BoardLink,
  folder: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<string> {
  const path = remotePath(folder);
  const script = `mkdir -p ${path}/bundles 2>&1 && cd ${path} 2>&1 && [ -w . ] && pwd -P`;
  const { code, stdout, stderr } = await link.run(script, { timeoutMs, signal });
  const said = (stdout.trim() || stderr.trim()).split('\n').at(-1) ?? '';
  if (code === 0 && said.startsWith('/')) return said;
  throw new EmbedError('EM4033', { where: `${link.address}: ${folder}`, why: said || 'it is not writable' });
}
