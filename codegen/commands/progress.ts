/**
 * Which progress a command shows: a bar on a terminal, lines elsewhere, nothing where quiet was asked for.
 */
import { type Progress, silentProgress } from '../progress.js';
import { ProgressBar, type Terminal } from './progress-bar.js';
import { ProgressLines } from './progress-lines.js';

/** Progress that knows how to share the screen. */
export interface ShownProgress extends Progress {
  /** Writes a line of other talk, above what is drawn. */
  say(line: string): void;
  /** Ends what is drawn; harmless where nothing is. */
  close(): void;
}

/** Shows nothing. */
export const quietProgress: ShownProgress = { ...silentProgress, say() {}, close() {} };

/**
 * `environment` decides as elsewhere: NO_COLOR (https://no-color.org) not empty: no colors; TERM=dumb: no
 * bar; LC_ALL, LC_CTYPE or LANG, the first that is set: whether the terminal shows more than ASCII.
 */
export function createProgress(
  stream: Terminal,
  quiet: boolean,
  environment: Readonly<Record<string, string | undefined>>,
): ShownProgress {
  if (quiet) return quietProgress;
  if (stream.isTTY !== true || environment.TERM === 'dumb') return new ProgressLines(stream);
  const color = (environment.NO_COLOR ?? '') === '';
  const locale = [environment.LC_ALL, environment.LC_CTYPE, environment.LANG].find((value) => value);
  return new ProgressBar(stream, { color, unicode: /utf-?8/i.test(locale ?? '') });
}
