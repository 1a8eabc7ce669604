import type { Diagnostic } from './catalog.js';

/** EM2xxx: quantization plans and formats. */
export const quantizationDiagnostics = {
  EM2001: {
    what: 'quantization plan is not valid',
    fix: 'see docs/arithmetic.md, section Plans, for the fields of PLAN.json',
    exit: 2,
  },
} as const satisfies Record<`EM2${string}`, Diagnostic>;
