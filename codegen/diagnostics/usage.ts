import type { Diagnostic } from './catalog.js';

/** EM12xx: the command line, and the files named on it that are no models. */
export const usageDiagnostics = {
  EM1201: {
    what: 'unknown command or option',
    fix: 'run embed-model --help for the commands and options there are',
    exit: 2,
  },
  EM1202: {
    what: 'option has a value that cannot be used',
    fix: 'run the command with --help to see what the option takes',
    exit: 2,
  },
  EM1203: {
    what: 'unknown target',
    fix: 'run embed-model targets for the list',
    exit: 2,
  },
  EM1204: {
    what: 'prompt and tokens do not fit the context',
    fix: 'shorten the prompt, ask for fewer --tokens, or build with a larger --context',
    exit: 2,
  },
  EM1205: {
    what: 'target file does not describe a target',
    fix: 'compare the file with targets/cortex-a72.ts, whose fields are documented in targets/target.ts',
    exit: 2,
  },
  EM1206: {
    what: 'not in this version',
    fix: 'run embed-model --help for what this version does',
    exit: 2,
  },
  EM1207: {
    what: 'context is larger than the model was trained for',
    fix: 'ask for a smaller --context, or leave it out for the most the model can',
    exit: 2,
  },
  EM1208: {
    what: 'more was given than the command can use',
    fix: 'leave one of them out',
    exit: 2,
  },
  EM1209: {
    what: 'not a file or folder that inspect knows',
    fix: 'give a checkpoint, a bundle, a model.blob, a PLAN.json or a result.json',
    exit: 2,
  },
  EM1210: {
    what: 'something the command needs was not given',
    fix: 'run the command with --help to see what it needs',
    exit: 2,
  },
} as const satisfies Record<`EM12${string}`, Diagnostic>;
