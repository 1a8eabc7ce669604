import { shellWord } from './board-link.js';

/** A folder of the board as its shell understands it: ~ is the home folder of who is logged in. */
export const remotePath = (folder: string): string =>
  folder.startsWith('~') ? `"$HOME"${folder === '~' ? '' : shellWord(folder.slice(1))}` : shellWord(folder);
