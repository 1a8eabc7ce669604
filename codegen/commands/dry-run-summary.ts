import { relative } from 'node:path';
import { quoteForReading } from '../compile/run-tool.js';
import { printable } from '../diagnostics/printable.js';
import type { DryRun } from '../dry-run.js';
import { formatCount } from './quantities.js';

/** A dry run in the words of a terminal: commands as a shell takes them, folders as `cd`. */
export function dryRunSummary({ files, commands, notes }: DryRun): string {
  const sizes = files.map(({ bytes }) => (bytes === null ? '' : formatCount(bytes)));
  const width = Math.max('bytes'.length, ...sizes.map((size) => size.length));
  const fileLines = files.map(({ path }, i) => `${sizes[i]!.padStart(width)}  ${printable(shortest(path))}`);
  const commandLines: string[] = [];
  let folder: string | null = null;
  for (const { command, cwd } of commands) {
    if (cwd !== folder) commandLines.push(`cd ${quoteForReading(cwd ?? process.cwd())}`);
    folder = cwd;
    commandLines.push(printable(command.map(quoteForReading).join(' ')));
  }
  const sections = [
    files.length === 0
      ? ['would write no file']
      : ['would write', `${'bytes'.padStart(width)}  file`, ...fileLines],
    commandLines.length === 0 ? ['would start nothing'] : ['would start', ...commandLines],
    notes.map(printable),
  ];
  return sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n');
}

function shortest(path: string): string {
  const fromHere = relative(process.cwd(), path);
  return fromHere.length < path.length ? fromHere : path;
}
