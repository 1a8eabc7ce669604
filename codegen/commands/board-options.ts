/** Options that choose a board and say how to behave towards it, and the way from them to a place to run. */
import type { BoardChoice } from '../../deploy/boards/select-board.js';
import type { LocalMode } from '../../deploy/local.js';
import type { Place } from '../../deploy/machine.js';
import type { SessionOptions } from '../../deploy/session/board-session.js';
import type { StageContext } from '../progress.js';
import { notThereYet } from './later.js';
import { badValue, flag, type Option, type OptionValues, text } from './option.js';
import { exclusive, placeOf, placeOptions } from './run-options.js';

/** 90s, 10m, 2h or plain seconds, as milliseconds; at most a week. */
export function duration(help: string, absentMs: number, defaultText: string): Option<number> {
  const units = { '': 1, s: 1, m: 60, h: 3600 } as const;
  const parse = (value: string, name: string) => {
    const match = /^(\d{1,6})([smh]?)$/.exec(value);
    const ms = match === null ? Number.NaN : Number(match[1]) * units[match[2] as keyof typeof units] * 1000;
    if (!(ms <= 7 * 86_400_000))
      throw badValue(name, value, 'a duration such as 90s, 10m or 2h, at most a week');
    return ms;
  };
  return { placeholder: 'DURATION', help, absent: absentMs, defaultText, parse };
}

export const boardOptions = {
  board: text('NAME', 'board of boards.json, in this folder or the nearest above; or labgrid:PLACE'),
  ssh: text('ADDRESS', 'board by SSH: [USER@]HOST[:PORT], or a Host of ~/.ssh/config'),
  serial: text(
    'DEVICE',
    'board by serial console: DEVICE[@BAUD], or tcp:HOST:PORT or rfc2217:HOST:PORT instead of a device',
  ),
  identity: text('FILE', 'private key for SSH', 'the agent, then ~/.ssh/id_*'),
  'known-hosts': text('FILE', 'host keys that are trusted', '~/.ssh/known_hosts'),
  'accept-new': flag('trust the host key of a board that is not known yet, and write it down'),
  login: text('USER', 'user to log in as'),
  'allow-slow': flag('upload also what takes longer than five minutes over a serial line'),
  wait: duration('how long to wait for a board that somebody else uses', 0, '0'),
  force: flag('take the lock of the board from whoever has it; deploy also what was not accepted'),
} as const;

/** Where a command runs a bundle: here, or on a board. */
export const anyPlaceOptions = { ...placeOptions, ...boardOptions } as const;

/** The choice of a board, or null where none was named. Throws EM1208 for two of them. */
export function boardChoice(values: OptionValues<typeof boardOptions>): BoardChoice | null {
  const { board, ssh, serial, identity, 'known-hosts': knownHosts, login } = values;
  if (ssh !== null && serial !== null) throw exclusive('--ssh', '--serial');
  if (board === null && ssh === null && serial === null) return null;
  return { board, ssh, serial, identity, knownHosts, login };
}

/** Where a dry run would run a bundle: here. Throws EM1206 for a board, whose part depends on what lies there already. */
export function placeOfDryRun(values: OptionValues<typeof anyPlaceOptions>): LocalMode {
  if (boardChoice(values) !== null) {
    throw notThereYet('--dry-run with a board', 'embed-model boards check tells what a board has');
  }
  return placeOf(values);
}

export function sessionOptions(
  values: OptionValues<typeof boardOptions>,
  context: StageContext,
): SessionOptions {
  return {
    acceptNew: values['accept-new'],
    waitMs: values.wait,
    force: values.force,
    allowSlow: values['allow-slow'],
    progress: context.progress,
    signal: context.signal,
  };
}

/** Does work at the place that the options name: a board is locked before and given back after. */
export async function atPlace<T>(
  bundle: string,
  values: OptionValues<typeof anyPlaceOptions>,
  context: StageContext,
  work: (place: Place) => Promise<T>,
): Promise<T> {
  const mode = placeOf(values);
  const choice = boardChoice(values);
  if (choice === null) return work(mode);
  if (mode !== 'auto') throw exclusive(`--${mode}`, 'a board');
  const { selectBoard } = await import('../../deploy/boards/select-board.js');
  const { withBoard } = await import('../../deploy/session/with-board.js');
  const { readManifest } = await import('../bundle/manifest.js');
  const manifest = readManifest(bundle);
  return withBoard(await selectBoard(choice), manifest, sessionOptions(values, context), work);
}
