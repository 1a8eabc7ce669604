import type { Diagnostic } from './catalog.js';

/** EM90xx: embed-model itself. */
export const programDiagnostics = {
  EM9001: {
    what: 'internal error',
    fix: 'please report it with the command line, the version and what --verbose prints',
    exit: 3,
  },
  EM9002: {
    what: 'interrupted',
    fix: 'run the command again: nothing half-written was left behind',
    exit: 130,
  },
  EM9003: {
    what: 'the operating system refused something',
    fix: 'make room, or set the permissions or limits that the reason names, and run the command again',
    exit: 3,
  },
} as const satisfies Record<`EM90${string}`, Diagnostic>;
