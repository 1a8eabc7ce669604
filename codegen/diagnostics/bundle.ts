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
  EM1402: {
    what: 'blob not found or not readable',
    fix: 'give the model.blob of a bundle that exists and can be read',
    exit: 2,
  },
  EM1403: {
    what: 'not a blob of this version',
    fix: 'give the model.blob of a bundle, or build the bundle again with this version',
    exit: 2,
  },
  EM1404: {
    what: 'blob is truncated or has bytes after its end',
    fix: 'copy the blob again, or build the bundle again',
    exit: 2,
  },
  EM1405: {
    what: 'header or table of the blob is damaged',
    fix: 'copy the blob again, or build the bundle again',
    exit: 2,
  },
  EM1406: {
    what: 'table of the blob is not valid',
    fix: 'build the bundle again',
    exit: 2,
  },
  EM1407: {
    what: 'payload of the blob is damaged',
    fix: 'copy the blob again, or build the bundle again',
    exit: 2,
  },
  EM1408: {
    what: 'section cannot be stored in a blob',
    fix: 'report this with the model that led to it: a packer and the blob disagree',
    exit: 2,
  },
} as const satisfies Record<`EM${13 | 14}${string}`, Diagnostic>;
