/** embed-model help: the page of the program or of one command. */

import type { ExitCode } from '../diagnostics/exit-codes.js';
import { toolVersion } from '../version.js';
import { type Command, defineCommand } from './command.js';
import { commandHelp, helpDocument, programHelp } from './help-text.js';
import type { Output } from './output.js';

export const help = defineCommand({
  name: 'help',
  summary: 'this text, or that of one command',
  description: ['embed-model help COMMAND is embed-model COMMAND --help.'],
  argument: { name: 'COMMAND', help: 'a command', required: false },
  options: {},
  examples: [{ command: 'embed-model help build', note: 'all about building' }],
  cleansUp: false,
  exitCodes: {},
  dryRun: async () => null,
  async run({ argument, output }) {
    const { findCommand } = await import('./index.js');
    return showHelp(argument === null ? null : findCommand(argument), output);
  },
});

/** The page of a command, or of the program for null. */
export async function showHelp(command: Command | null, output: Output): Promise<ExitCode> {
  const { commands } = await import('./index.js');
  output.result(helpDocument(command === null ? commands : [command]), () =>
    command === null
      ? programHelp(commands, toolVersion(), output.columns)
      : commandHelp(command, output.columns),
  );
  return 0;
}
