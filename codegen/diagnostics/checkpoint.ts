import type { Diagnostic } from './catalog.js';

/** EM10xx: checkpoint files and the models in them. */
export const checkpointDiagnostics = {
  EM1001: {
    what: 'checkpoint not found or not readable',
    fix: 'give --model a Hugging Face directory or a llama2.c .bin file that exists and can be read',
    exit: 2,
  },
} as const satisfies Record<`EM10${string}`, Diagnostic>;
