/** boards scan: what could be a board, from the serial ports of this machine and the hosts of ssh_config. */
import { accessSync, constants, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseJsonObject } from '../../codegen/checkpoint/json-object.js';
import { EmbedError } from '../../codegen/diagnostics/error.js';
import { sshAliases } from '../ssh/ssh-config.js';
import type { BoardEntry } from './board.js';
import { readBoardsFile } from './boards-file.js';

export interface Candidate {
  /** As it would stand in boards.json. */
  readonly entry: BoardEntry;
  /** Name of the board of boards.json that it is; null: it is new. */
  readonly known: string | null;
  /** Why it cannot be used as it is; null: nothing is in the way. */
  readonly reason: string | null;
}

/** Places to look at; tests have their own. */
export interface ScanPlaces {
  readonly serialById: string;
  readonly devices: string;
  readonly sshConfig?: string;
}

const systemPlaces: ScanPlaces = { serialById: '/dev/serial/by-id', devices: '/dev' };

/** Serial devices that have no name by id: those of the board itself, such as the UART of a gateway. */
const devicePattern = /^tty(USB|ACM|AMA|SIF|S)\d+$/;

/** Candidates, serial ports first; those that boards.json has are marked. */
export function scanBoards(known: readonly BoardEntry[], places: ScanPlaces = systemPlaces): Candidate[] {
  const byId = list(places.serialById).map((name) => join(places.serialById, name));
  const seen = new Set(byId.map((path) => real(path)));
  const others = list(places.devices)
    .filter((name) => devicePattern.test(name) && !/^ttyS\d+$/.test(name))
    .map((name) => join(places.devices, name))
    .filter((path) => !seen.has(real(path)));
  const names = new Set(known.map(({ name }) => name));
  const serial = [...byId, ...others].map((port): Candidate => {
    const owner = known.find((board) => board.serial !== undefined && real(board.serial.port) === real(port));
    const entry = { name: owner?.name ?? freeName(basename(port), names), serial: { port } };
    return { entry, known: owner?.name ?? null, reason: whyUnusable(port) };
  });
  const hosts = sshAliases(places.sshConfig).map((host): Candidate => {
    const owner = known.find((board) => board.ssh?.host === host);
    return {
      entry: { name: owner?.name ?? freeName(host, names), ssh: { host } },
      known: owner?.name ?? null,
      reason: null,
    };
  });
  return [...serial, ...hosts];
}

/** Adds entries at the end of the file's list and leaves every other character as it is. Throws EM4001. */
export async function addBoards(path: string, entries: readonly BoardEntry[]): Promise<void> {
  const text = readFileSync(path, 'utf8');
  const { boards } = await readBoardsFile(path);
  const end = endOfBoards(text);
  const shown = entries.map((entry) => JSON.stringify(entry, null, 2).replace(/^/gm, '    ')).join(',\n');
  const before = text.slice(0, end).trimEnd();
  const added = `${before}${boards.length === 0 ? '' : ','}\n${shown}\n  ${text.slice(end)}`;
  parseJsonObject(Buffer.from(added), path, 'EM4001');
  writeFileSync(path, added);
}

/** A new boards.json. Throws the system's error where it cannot be written. */
export function createBoardsFile(path: string, entries: readonly BoardEntry[], schema: string): void {
  writeFileSync(path, `${JSON.stringify({ $schema: schema, boards: entries }, null, 2)}\n`, { flag: 'wx' });
}

/** Offset of the bracket that closes the list "boards" of the outermost object. */
function endOfBoards(text: string): number {
  let depth = 0;
  let inBoards = false;
  let key = '';
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === '"') {
      const start = at;
      for (at++; text[at] !== '"'; at++) if (text[at] === '\\') at++;
      if (depth === 1) key = text.slice(start + 1, at);
    } else if (character === '{' || character === '[') {
      depth += 1;
      if (depth === 2) inBoards = key === 'boards' && character === '[';
    } else if (character === '}' || character === ']') {
      if (depth === 2 && inBoards) return at;
      depth -= 1;
    }
  }
  throw new EmbedError('EM4001', { where: 'boards.json', why: 'it has no list of boards' });
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function whyUnusable(port: string): string | null {
  try {
    accessSync(port, constants.R_OK | constants.W_OK);
    return null;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'EACCES' ? 'no permission: join the group dialout' : `not there (${code})`;
  }
}

function freeName(wish: string, taken: Set<string>): string {
  const name =
    wish
      .replace(/^usb-/, '')
      .replace(/[^A-Za-z0-9._-]/g, '-')
      .replace(/^[^A-Za-z0-9]+/, '')
      .slice(0, 60) || 'board';
  for (let number = 1; ; number++) {
    const candidate = number === 1 ? name : `${name}-${number}`;
    if (taken.has(candidate)) continue;
    taken.add(candidate);
    return candidate;
  }
}
