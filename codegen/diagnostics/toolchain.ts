import type { Diagnostic } from './catalog.js';

/** EM3xxx: toolchains, emulators and running. */
export const toolchainDiagnostics = {
  EM3001: {
    what: 'no C compiler for this target',
    fix: 'run embed-model doctor to see what to install',
    exit: 3,
  },
} as const satisfies Record<`EM3${string}`, Diagnostic>;
