/** The commands, in the order of help, and the way from a name to one of them. */
import { EmbedError } from '../diagnostics/error.js';
import { nearestName } from '../diagnostics/nearest-name.js';
import { bench } from './bench.js';
import { boards } from './boards.js';
import { build } from './build.js';
import type { Command } from './command.js';
import { completion } from './completion.js';
import { deploy } from './deploy.js';
import { doctor } from './doctor.js';
import { evaluate } from './evaluate.js';
import { exportCommand } from './export.js';
import { help } from './help.js';
import { inspect } from './inspect.js';
import { report } from './report.js';
import { run } from './run.js';
import { targetsCommand } from './targets.js';
import { verify } from './verify.js';

export const commands: readonly Command[] = [
  build,
  run,
  bench,
  evaluate,
  verify,
  exportCommand,
  deploy,
  boards,
  report,
  inspect,
  targetsCommand,
  doctor,
  completion,
  help,
];

/** Throws EM1201 for a name that is no command's. */
export function findCommand(name: string): Command {
  const found = commands.find((command) => command.name === name);
  if (found !== undefined) return found;
  const names = commands.map((command) => command.name);
  const nearest = nearestName(name, names);
  throw new EmbedError('EM1201', {
    where: 'command line',
    why: `there is no command '${name}'; there are ${names.join(', ')}`,
    ...(nearest === undefined ? {} : { fix: `did you mean ${nearest}?` }),
  });
}
