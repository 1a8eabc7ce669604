/** Options that every command takes. All are switches. */
import { flag } from './option.js';

export const globalOptions = {
  json: flag(
    'one JSON document on stdout, talk on stderr; an error is {"error": {code, what, where, why, fix, ...}}',
  ),
  quiet: flag('no progress, no warnings, no summary on stderr; errors are shown'),
  verbose: flag('show the commands of the toolchain, and where in the program an error came from'),
  'dry-run': flag('print every file and command instead; nothing is written, no program is started'),
  help: flag('this text'),
  version: flag('the version of embed-model'),
} as const;

export type GlobalOptionName = keyof typeof globalOptions;
