/** Which progress a command shows: a bar on a terminal, lines elsewhere, nothing where quiet was asked for. */
import { type Progress, silentProgress } from '../progress.js';
import { ProgressBar, type Terminal } from './progress-bar.js';
import { ProgressLines } from './progress-lines.js';

/** Progress that can be taken off the screen before other lines are written. */
export interface ShownProgress extends Progress {
  close(): void;
}

/**
 * `environment` decides as elsewhere: NO_COLOR (https://no-color.org) not empty: no colors; TERM=dumb: no bar; LC_ALL, LC_CTYPE
 * or LANG, the first that is set: whether the terminal shows more than ASCII.
 */
export function createProgress(
  stream: Terminal,
  quiet: boolean,
  environment: Readonly<Record<string, string | undefined>>,
): ShownProgress {
  if (quiet) return { ...silentProgress, close() {} };
  if (stream.isTTY !== true || environment.TERM === 'dumb') return new ProgressLines(stream);
  const color = (environment.NO_COLOR ?? '') === '';
  const locale = [environment.LC_ALL, environment.LC_CTYPE, environment.LANG].find((value) => value);
  return new ProgressBar(stream, { color, unicode: /utf-?8/i.test(locale ?? '') });
}
