import type { Diagnostic } from './catalog.js';

/** EM13xx: output folders. EM14xx: bundles and blobs read back. */
export const bundleDiagnostics = {
  EM1301: {
    what: 'output folder cannot be written',
    fix: 'choose another --out, or make room and set permissions',
    exit: 2,
  },
  EM1302: {
    what: 'output folder is not a bundle of embed-model',
    fix: 'choose an --out that does not exist yet, is empty, or holds an earlier bundle',
    exit: 2,
  },
  EM1401: {
    what: 'not a bundle, or the bundle is damaged',
    fix: 'build it again with embed-model build',
    exit: 2,
  },
} as const satisfies Record<`EM${13 | 14}${string}`, Diagnostic>;
