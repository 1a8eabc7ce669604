/** boards check: whether a board can be used, and why not. */
import { EmbedError } from '../../codegen/diagnostics/error.js';
import { findTarget } from '../../targets/index.js';
import { type BoardFacts, factsScript, parseFacts, requireFit } from '../session/board-facts.js';
import { readLock } from '../session/board-lock.js';
import type { SessionOptions } from '../session/board-session.js';
import { decodeOwner, describeOwner } from '../session/lock-owner.js';
import { openLink } from '../session/open-link.js';
import { reachBoard } from '../session/reach-board.js';
import { remotePath } from '../session/remote-path.js';
import type { Board } from './board.js';

export interface BoardCheck {
  readonly name: string;
  /** What was connected to; null where nothing was. */
  readonly address: string | null;
  readonly usable: boolean;
  /** Why it cannot be used, or who uses it; null: nothing is in the way. */
  readonly reason: string | null;
  readonly fix: string | null;
  readonly cpu: string | null;
  readonly kernel: string | null;
  readonly processors: number | null;
  readonly memoryBytes: number | null;
  /** Targets of embed-model that it can run. */
  readonly fits: string | null;
}

/** Connects and looks; changes nothing there. Throws only what the signal says. */
export async function checkBoard(
  board: Board,
  options: Omit<SessionOptions, 'waitMs' | 'force' | 'allowSlow'>,
): Promise<BoardCheck> {
  let facts: BoardFacts | null = null;
  let address: string | null = null;
  const found = (reason: string | null, fix: string | null): BoardCheck => ({
    ...{ name: board.name, address, usable: reason === null, reason, fix },
    ...{ cpu: facts?.cpu ?? null, kernel: facts?.kernel ?? null, processors: facts?.processors ?? null },
    ...{ memoryBytes: facts?.memoryBytes ?? null, fits: board.target },
  });
  const check = async (reached: Board): Promise<BoardCheck> => {
    const uBoot = await uBootOf(reached, options.signal);
    if (uBoot !== null) {
      address = uBoot.address;
      return { ...found(null, null), kernel: uBoot.version };
    }
    const link = await openLink(reached, options);
    address = link.address;
    try {
      const timeoutMs = board.limits.command * 1000;
      facts = parseFacts((await link.run(factsScript, { timeoutMs, signal: options.signal })).stdout);
      const target = board.target === null ? null : await findTarget(board.target);
      requireFit(link.address, facts, target, board.features);
      const { stdout } = await link.run(`cd ${remotePath(board.folder)} 2>/dev/null && pwd -P || true`, {
        timeoutMs,
      });
      const held = stdout.trim() === '' ? null : await readLock(link, stdout.trim(), timeoutMs);
      if (held === null) return found(null, null);
      const owner = decodeOwner(held);
      return found(
        `locked by ${owner === null ? held : describeOwner(owner)}`,
        'wait, or embed-model boards unlock',
      );
    } finally {
      await link.close();
    }
  };
  try {
    return await reachBoard(board, { ...options, waitMs: 0 }, check);
  } catch (error) {
    options.signal?.throwIfAborted();
    if (error instanceof EmbedError) return found(`${error.code}: ${error.what}: ${error.why}`, error.fix);
    throw error;
  }
}

/** What answers on the console of a board that is left in U-Boot; null for other boards. Throws EM4014, EM4020, EM4021. */
async function uBootOf(
  { transport, limits }: Board,
  signal: AbortSignal,
): Promise<{ readonly address: string; readonly version: string | null } | null> {
  if (transport.kind !== 'serial' || transport.serial.uboot === undefined) return null;
  const { defaultBaud, UBootConsole } = await import('../u-boot/u-boot-console.js');
  const { port, baud = defaultBaud } = transport.serial;
  const console = await UBootConsole.open(transport.serial, { timeoutMs: limits.connect * 1000, signal });
  await console.close();
  return { address: `${port}@${baud}`, version: console.version };
}
