/** Does work on a board and gives the board back, whatever comes of the work. */
import type { Manifest } from '../../codegen/bundle/manifest.js';
import type { Board } from '../boards/board.js';
import { BoardMachine } from './board-machine.js';
import { BoardSession, type SessionOptions } from './board-session.js';

/** Opens a session for programs of the bundle's target. Throws what BoardSession.open and the work throw. */
export async function withBoard<T>(
  board: Board,
  manifest: Manifest,
  options: SessionOptions,
  work: (machine: BoardMachine) => Promise<T>,
): Promise<T> {
  const session = await BoardSession.open(board, manifest.targetSpec, options);
  try {
    return await work(new BoardMachine(session));
  } finally {
    await session.close();
  }
}
