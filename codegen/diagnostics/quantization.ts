import type { Diagnostic } from './catalog.js';

/** EM2xxx: quantization plans and formats. */
export const quantizationDiagnostics = {
  EM2001: {
    what: 'quantization plan is not valid',
    fix: 'see docs/arithmetic.md, section Plans, for the fields of PLAN.json',
    exit: 2,
  },
  EM2002: {
    what: 'weights outside the range that a format can hold',
    fix: 'check the checkpoint: weights this large or small are usually damage',
    exit: 2,
  },
  EM2004: {
    what: 'the model does not stay finite on the calibration text',
    fix: 'check the checkpoint, or calibrate with text like that which the model was trained on',
    exit: 2,
  },
  EM2005: {
    what: 'calibration text cannot be used',
    fix: 'give --calibration a text file, or a .u16 file of little-endian token ids',
    exit: 2,
  },
  EM2006: {
    what: 'Q formats before and after a matrix are too far apart for its weights',
    fix: 'calibrate with text like that which the model was trained on; if that does not help, check the checkpoint',
    exit: 2,
  },
  EM2010: {
    what: 'logits cannot be evaluated',
    fix: 'check that the text was encoded with the tokenizer of both models; verify --layers finds an overflow',
    exit: 2,
  },
  EM2011: {
    what: 'nothing to evaluate',
    fix: 'give a text of at least two tokens; a certified result needs 32 windows',
    exit: 2,
  },
  EM2012: {
    what: 'evaluation text cannot be used',
    fix: 'give --text a text file, or --ids a file of little-endian uint16 token ids',
    exit: 2,
  },
  EM2013: {
    what: 'not the checkpoint that the bundle was built from',
    fix: 'give the checkpoint with --model, or build the bundle again',
    exit: 2,
  },
  EM2014: {
    what: 'the weights of the bundle are not those that its manifest names',
    fix: 'copy the bundle again, or build it again',
    exit: 2,
  },
  EM2020: {
    what: 'prompts cannot be used',
    fix: 'give --prompts a text file with a prompt a line, each shorter than the context',
    exit: 2,
  },
  EM2021: {
    what: 'task benchmark cannot be used',
    fix: 'give --task a file of lines {"prompt": "...", "completion": "..."}, each within the context',
    exit: 2,
  },
  EM2030: {
    what: 'validation text is calibration text',
    fix: 'give --validation a text that --calibration does not hold: a model is judged on what it was not fitted to',
    exit: 2,
  },
  EM2031: {
    what: 'the model does not fit --max-bytes',
    fix: 'allow more bytes, cut the vocabulary with --prune-vocab, or take a smaller model',
    exit: 1,
  },
  EM2003: {
    what: 'an accumulator of this matrix could overflow',
    fix: 'give the tensor another format in PLAN.json',
    exit: 2,
  },
} as const satisfies Record<`EM2${string}`, Diagnostic>;
