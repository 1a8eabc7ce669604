/** boards.json: found, read and checked against schemas/boards.schema.json before anything waits for a board. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseJsonObject } from '../../codegen/checkpoint/json-object.js';
import { readSmallFile } from '../../codegen/commands/read-small-file.js';
import { EmbedError } from '../../codegen/diagnostics/error.js';
import { findTarget } from '../../targets/index.js';
import type { BoardEntry } from './board.js';
import { type Schema, schemaFault } from './schema-fault.js';

export const boardsFileName = 'boards.json';

const mostBytes = 1 << 20;

export interface BoardsFile {
  readonly path: string;
  readonly boards: readonly BoardEntry[];
}

/** boards.json of this folder or the nearest one above it; null where there is none. */
export function findBoardsFile(folder = process.cwd()): string | null {
  for (let at = resolve(folder); ; at = dirname(at)) {
    const path = join(at, boardsFileName);
    if (existsSync(path)) return path;
    if (dirname(at) === at) return null;
  }
}

let schema: Schema | undefined;

/** The schema that editors use too. */
export function boardsSchema(): Schema {
  schema ??= JSON.parse(
    readFileSync(new URL('../../../schemas/boards.schema.json', import.meta.url), 'utf8'),
  ) as Schema;
  return schema;
}

/** Reads and checks the file. Throws EM4001 with the path of the value that is wrong. */
export async function readBoardsFile(path: string): Promise<BoardsFile> {
  const value = parseJsonObject(readSmallFile(path, mostBytes, 'EM4001'), path, 'EM4001');
  const fault = schemaFault(value, boardsSchema());
  if (fault !== null) throw unusable(path, fault.at, fault.why);
  const { boards } = value as unknown as { boards: readonly BoardEntry[] };
  for (const [index, board] of boards.entries()) await checkBoard(path, boards, board, `boards[${index}]`);
  return { path, boards };
}

/** What the schema cannot say. */
async function checkBoard(
  path: string,
  boards: readonly BoardEntry[],
  board: BoardEntry,
  at: string,
): Promise<void> {
  const twin = boards.findIndex(({ name }) => name === board.name);
  if (boards[twin] !== board) {
    throw unusable(path, `${at}.name`, `'${board.name}' is the name of boards[${twin}] already`);
  }
  if (board.ssh === undefined && board.serial === undefined && board.labgrid === undefined) {
    throw unusable(path, at, 'it has neither ssh nor serial nor labgrid: there is no way to reach it');
  }
  if (board.target !== undefined) {
    try {
      await findTarget(board.target);
    } catch (error) {
      if (error instanceof EmbedError) throw unusable(path, `${at}.target`, error.why);
      throw error;
    }
  }
  const { serial } = board;
  for (const [name, prompt] of [
    ['serial.prompt', serial?.prompt],
    ['serial.uboot.prompt', serial?.uboot?.prompt],
  ] as const) {
    if (prompt === undefined) continue;
    try {
      new RegExp(prompt);
    } catch (error) {
      throw unusable(path, `${at}.${name}`, error instanceof Error ? error.message : String(error));
    }
  }
}

function unusable(path: string, at: string, why: string): EmbedError {
  return new EmbedError('EM4001', { where: at === '' ? path : `${path}: ${at}`, why });
}
