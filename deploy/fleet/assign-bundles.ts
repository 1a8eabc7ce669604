/** Which bundle goes to which board: the one that was built for its target. */
import { readManifest } from '../../codegen/bundle/manifest.js';
import { EmbedError } from '../../codegen/diagnostics/error.js';
import type { Board } from '../boards/board.js';

export interface Assignment {
  readonly board: Board;
  /** Folder of the bundle. */
  readonly bundle: string;
}

/**
 * A single bundle goes to every board: the board says whether it fits. Of several, a board gets the one of its target. Throws
 * EM1401, and EM4004 for a board that has no target, or that has not exactly one bundle.
 */
export function assignBundles(bundles: readonly string[], boards: readonly Board[]): Assignment[] {
  const manifests = bundles.map((bundle) => ({ bundle, target: readManifest(bundle).target }));
  const [only] = manifests;
  if (manifests.length === 1) return boards.map((board) => ({ board, bundle: only.bundle }));
  return boards.map((board) => {
    const fitting = manifests.filter(({ target }) => target === board.target);
    if (fitting.length === 1) return { board, bundle: fitting[0].bundle };
    const given = manifests.map(({ bundle, target }) => `${bundle} (${target})`).join(', ');
    const why =
      board.target === null
        ? 'boards.json does not name its target'
        : `${fitting.length === 0 ? 'none' : 'more than one'} of ${given} is for its target ${board.target}`;
    throw new EmbedError('EM4004', { where: board.name, why });
  });
}
