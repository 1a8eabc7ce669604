/** Does work on a board and gives the board back, whatever comes of the work. */
import type { Manifest } from '../../codegen/bundle/manifest.js';
import type { Board } from '../boards/board.js';
import { BoardMachine } from './board-machine.js';
import { BoardSession, type SessionOptions } from './board-session.js';
import { reachBoard } from './reach-board.js';

/** Opens a session for programs of the bundle's target. Throws what reachBoard, BoardSession.open and the work throw. */
export async function withBoard<T>(
  board: Board,
  manifest: Manifest,
  options: SessionOptions,
  work: (machine: BoardMachine) => Promise<T>,
): Promise<T> {
  return reachBoard(board, options, async (reached) => {
    const session = await BoardSession.open(reached, manifest.targetSpec, options);
    try {
      return await work(new BoardMachine(session));
    } finally {
      await session.close();
    }
  });
}
