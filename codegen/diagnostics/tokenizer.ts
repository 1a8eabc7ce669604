import type { Diagnostic } from './catalog.js';

/** EM11xx: tokenizers. */
export const tokenizerDiagnostics = {
  EM1101: {
    what: 'tokenizer not found',
    fix: 'put tokenizer.json (tokenizer.bin for a llama2.c model) beside the weights, or build with --no-tokenizer for token ids only',
    exit: 2,
  },
  EM1102: {
    what: 'tokenizer file is not valid',
    fix: 'fetch the file again, or save the tokenizer again with the library that made it',
    exit: 2,
  },
  EM1103: {
    what: 'tokenizer model is not supported',
    fix: 'use a model whose tokenizer is plain byte pair encoding (BPE) or Unigram; WordPiece is not supported',
    exit: 2,
  },
  EM1104: {
    what: 'pre-tokenizer is not supported',
    fix: 'use a model with the pre-tokenizer of GPT-2, Llama 2, Llama 3, Qwen 2 or SmolLM',
    exit: 2,
  },
  EM1105: {
    what: 'tokenizer does not fit the embedding',
    fix: 'use the tokenizer the model was trained with',
    exit: 2,
  },
  EM1106: {
    what: 'vocabulary contradicts itself',
    fix: 'fetch the tokenizer again; if it was edited, give every token one id and every id one token',
    exit: 2,
  },
  EM1107: {
    what: 'merge names a token that does not exist',
    fix: 'fetch the tokenizer again; vocabulary and merges must come from the same training',
    exit: 2,
  },
  EM1108: {
    what: 'normalizer is not supported',
    fix: 'use a model whose tokenizer normalizes by NFC, by a character map of SentencePiece, or only replaces spaces by U+2581',
    exit: 2,
  },
  EM1109: {
    what: 'decoder of the tokenizer is not supported',
    fix: 'use a model whose tokenizer decodes by ByteLevel, by Metaspace, or by Replace, ByteFallback, Fuse and Strip',
    exit: 2,
  },
  EM1110: {
    what: 'tokens that the tokenizer puts around a text are not supported',
    fix: 'use a model whose tokenizer adds at most one token, before the text',
    exit: 2,
  },
  EM1111: {
    what: 'setting of an added token is not supported',
    fix: 'use a model whose added tokens are found wherever they stand, as written',
    exit: 2,
  },
  EM1112: {
    what: 'text that the tokenizer has no tokens for',
    fix: 'leave the characters out of the text, or use a model whose tokenizer covers all bytes',
    exit: 2,
  },
  EM1113: {
    what: 'a token is longer than the runner can print',
    fix: 'remove the token from the vocabulary; tokens of up to 340 bytes of text can be used',
    exit: 2,
  },
  EM1140: {
    what: 'vocabulary cannot be pruned to this file',
    fix: 'give --prune-vocab a text file like the text the model is for, and a model with its tokenizer',
    exit: 2,
  },
  EM1142: {
    what: 'bundle cannot be exported',
    fix: 'give --out a new or empty folder, and a bundle of a Llama model whose projections have at most 8 bits',
    exit: 2,
  },
  EM1141: {
    what: 'pruned vocabulary is not one of this checkpoint',
    fix: 'use the checkpoint that the bundle was built from, or build it again',
    exit: 2,
  },
} as const satisfies Record<`EM11${string}`, Diagnostic>;
