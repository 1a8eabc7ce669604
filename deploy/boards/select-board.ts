/** From --board, --ssh and --serial and their companions to one board. */
import { EmbedError } from '../../codegen/diagnostics/error.js';
import { nearestName } from '../../codegen/diagnostics/nearest-name.js';
import {
  type Board,
  type BoardEntry,
  boardOf,
  type LabgridSettings,
  type SerialSettings,
  type SshSettings,
} from './board.js';
import { boardsFileName, findBoardsFile, readBoardsFile } from './boards-file.js';

/** What the command line says of a board; null where it does not. */
export interface BoardChoice {
  /** Name in boards.json, or labgrid:PLACE. */
  readonly board: string | null;
  /** [USER@]HOST[:PORT], or a Host alias of ssh_config. */
  readonly ssh: string | null;
  /** DEVICE[@BAUD]. */
  readonly serial: string | null;
  readonly identity: string | null;
  readonly knownHosts: string | null;
  readonly login: string | null;
}

/**
 * The board of a choice that has at least one of board, ssh and serial: an entry of boards.json with what the command line says
 * replacing its settings. Throws EM4001, EM4002.
 */
export async function selectBoard(choice: BoardChoice, folder = process.cwd()): Promise<Board> {
  const place = /^labgrid:(.+)$/.exec(choice.board ?? '')?.[1];
  if (place !== undefined) return placeBoard(place, choice);
  const entry = choice.board === null ? null : await entryNamed(choice.board, folder);
  const ssh = choice.ssh === null ? null : { ...entry?.ssh, ...parseSshAddress(choice.ssh) };
  const serial = choice.serial === null ? null : { ...entry?.serial, ...parseSerialAddress(choice.serial) };
  const base: Omit<BoardEntry, 'name'> = entry ?? {};
  const { ssh: ownSsh, serial: ownSerial, labgrid: ownPlace, ...rest } = base;
  const chosen =
    ssh !== null
      ? { ssh }
      : serial !== null
        ? { serial }
        : ownSsh !== undefined
          ? { ssh: ownSsh }
          : ownSerial !== undefined
            ? { serial: ownSerial }
            : null;
  const name = entry?.name ?? choice.ssh ?? choice.serial ?? '';
  if (chosen === null) return boardOf({ ...rest, name, labgrid: placeSettings(ownPlace!, choice) });
  return boardOf({ ...rest, name, ...withOverrides(chosen, choice) });
}

/** A place of a farm that boards.json need not know. */
function placeBoard(place: string, choice: BoardChoice): Board {
  if (choice.ssh !== null || choice.serial !== null) {
    throw new EmbedError('EM4003', {
      where: `labgrid:${place}`,
      why: 'the farm says where it is, not --ssh or --serial',
    });
  }
  return boardOf({ name: `labgrid:${place}`, labgrid: placeSettings({ place }, choice) });
}

const placeSettings = (
  settings: LabgridSettings,
  { identity, knownHosts, login }: BoardChoice,
): LabgridSettings => ({
  ...settings,
  ...(identity === null ? {} : { identity }),
  ...(knownHosts === null ? {} : { knownHosts }),
  ...(login === null ? {} : { user: login, login }),
});

function withOverrides(
  { ssh, serial }: { ssh?: SshSettings; serial?: SerialSettings },
  { identity, knownHosts, login }: BoardChoice,
): Pick<BoardEntry, 'ssh' | 'serial'> {
  if (ssh !== undefined) {
    return {
      ssh: {
        ...ssh,
        ...(identity === null ? {} : { identity }),
        ...(knownHosts === null ? {} : { knownHosts }),
        ...(login === null ? {} : { user: login }),
      },
    };
  }
  return { serial: { ...serial!, ...(login === null ? {} : { login }) } };
}

async function entryNamed(name: string, folder: string): Promise<BoardEntry> {
  const path = findBoardsFile(folder);
  if (path === null) {
    throw new EmbedError('EM4002', {
      where: `--board ${name}`,
      why: `there is no ${boardsFileName} in ${folder} or above it`,
    });
  }
  const { boards } = await readBoardsFile(path);
  const found = boards.find((board) => board.name === name);
  if (found !== undefined) return found;
  const names = boards.map((board) => board.name);
  const nearest = nearestName(name, names);
  throw new EmbedError('EM4002', {
    where: `--board ${name}`,
    why: `${path} has ${names.length === 0 ? 'no boards' : names.join(', ')}`,
    ...(nearest === undefined ? {} : { fix: `did you mean ${nearest}?` }),
  });
}

/** [USER@]HOST[:PORT], HOST as [IPv6] too, or ssh://... of the same. Throws EM4003. */
export function parseSshAddress(text: string): Pick<SshSettings, 'host' | 'port' | 'user'> {
  const match =
    /^(?:ssh:\/\/)?(?:(?<user>[^@\s]+)@)?(?:\[(?<v6>[0-9a-fA-F:.%\w]+)\]|(?<host>[^\s:@/[\]-][^\s:@/[\]]*))(?::(?<port>\d{1,5}))?\/?$/.exec(
      text,
    );
  const { user, v6, host, port } = match?.groups ?? {};
  const number = port === undefined ? undefined : Number(port);
  if (match === null || (number !== undefined && (number < 1 || number > 65535))) {
    throw new EmbedError('EM4003', { where: text, why: 'SSH takes [USER@]HOST[:PORT]' });
  }
  return {
    host: v6 ?? host,
    ...(number === undefined ? {} : { port: number }),
    ...(user === undefined ? {} : { user }),
  };
}

/** DEVICE[@BAUD]. Throws EM4003. */
export function parseSerialAddress(text: string): Pick<SerialSettings, 'port' | 'baud'> {
  const match = /^(?<port>.+?)(?:@(?<baud>\d{3,8}))?$/.exec(text);
  const { port, baud } = match?.groups ?? {};
  const number = baud === undefined ? undefined : Number(baud);
  if (match === null || (number !== undefined && (number < 300 || number > 12_000_000))) {
    throw new EmbedError('EM4003', {
      where: text,
      why: 'a serial line takes DEVICE[@BAUD], 300 to 12000000 baud',
    });
  }
  return { port, ...(number === undefined ? {} : { baud: number }) };
}
