import type { Diagnostic } from './catalog.js';

/** EM11xx: tokenizers. */
export const tokenizerDiagnostics = {
  EM1101: {
    what: 'tokenizer not found',
    fix: 'put tokenizer.json (or tokenizer.bin for a llama2.c model) beside the weights',
    exit: 2,
  },
} as const satisfies Record<`EM11${string}`, Diagnostic>;
