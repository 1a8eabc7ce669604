/** From a board to one that can be connected to: a place of a farm has to be acquired first. */
import type { Board } from '../boards/board.js';
import { type PlaceOptions, withPlace } from '../labgrid/with-place.js';

/** Does work with the board as it is, or, for a labgrid place, while that is ours. Throws what withPlace and the work throw. */
export function reachBoard<T>(
  board: Board,
  options: PlaceOptions,
  work: (board: Board) => Promise<T>,
): Promise<T> {
  const { transport } = board;
  if (transport.kind !== 'labgrid') return work(board);
  return withPlace(transport.labgrid, options, (found) => work({ ...board, transport: found }));
}
