/** What an image without an operating system needs of options, board and model. */

import type { BuildOptions } from '../build-options.js';
import { EmbedError } from '../diagnostics/error.js';
import { type BareMetalBoard, bareMetalBoards } from './bare-metal-board.js';

/** Of the one thread there is. */
export const bareMetalStackBytes = 64 * 1024;

/** Of it, for the program around the library: four frames, none of which may exceed 2048 bytes (-Wframe-larger-than). */
const programStackBytes = 8192;

/** Code, tables, stack: what an image has beside weights and arena, rounded up generously. */
const otherBytes = 4 << 20;

/** What can be said before the work begins: the board that was asked for, or null. Throws EM1202, EM5006. */
export function checkBareMetalRequest({
  target,
  bareMetal = null,
  singleFile,
}: BuildOptions): BareMetalBoard | null {
  if (bareMetal === null) return null;
  const board = bareMetalBoards.find(({ name }) => name === bareMetal);
  if (board === undefined) {
    const why = `there are ${bareMetalBoards.map(({ name }) => name).join(', ')}`;
    throw new EmbedError('EM1202', { where: `--bare-metal ${bareMetal}`, why });
  }
  if (singleFile) {
    const why = 'the image takes model.blob in, which --single-file leaves out';
    throw new EmbedError('EM1202', { where: '--bare-metal', why });
  }
  if (board.arch !== target.arch) {
    const why = `${target.name} is for ${target.arch}, the board is ${board.arch}`;
    throw new EmbedError('EM5006', { where: `--bare-metal ${board.name}`, why });
  }
  return board;
}

/** Throws EM5005. */
export function requireBareMetalMemory(board: BareMetalBoard, blobBytes: number, arenaBytes: number): void {
  const needed = blobBytes + arenaBytes + otherBytes;
  const has = board.ram.start + board.ram.bytes - board.loadAddress;
  if (needed <= has) return;
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
  const why = `weights, arena and code take ${megabytes(needed)}, and there are ${megabytes(has)}`;
  throw new EmbedError('EM5005', { where: `--bare-metal ${board.name}`, why });
}

/** `libraryBytes`: the deepest chain of calls of the library. Throws EM5007. */
export function requireBareMetalStack(libraryBytes: number): void {
  const has = bareMetalStackBytes - programStackBytes;
  if (libraryBytes <= has) return;
  const why = `its deepest chain of calls takes ${libraryBytes} bytes, and there are ${has}`;
  throw new EmbedError('EM5007', { where: 'src', why });
}
