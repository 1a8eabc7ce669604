import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BoundedFile } from '../checkpoint/bounded-file.js';
import { limits } from '../checkpoint/limits.js';
import { type FileFormat, recognizeFormat } from '../checkpoint/recognize-format.js';
import { EmbedError } from '../diagnostics/error.js';
import { restrictedTokenizer } from '../vocabulary/restricted-tokenizer.js';
import type { CharacterMap } from './character-map.js';
import { openCharacterTokenizer } from './character-tokenizer.js';
import { openGgufTokenizer } from './gguf-tokenizer.js';
import { openLlama2cTokenizer } from './llama2c-tokenizer.js';
import type { MergeTable } from './merge-table.js';
import type { PreTokenizer } from './pre-tokenizer.js';
import { openSentencePiece } from './sentencepiece-model.js';
import type { SpaceRules } from './settle-spaces.js';
import { openTokenizerJson, readTokenizerConfig } from './tokenizer-json.js';
import type { UnigramScores } from './unigram-scores.js';
import { openVocabMerges } from './vocab-merges.js';

/** A token that is found in the text before anything else is done with it, such as <|endoftext|>. */
export interface AddedToken {
  readonly id: number;
  /** UTF-8; what is looked for in the text: the normalized content where `normalized` is set. */
  readonly content: Uint8Array;
  /** Found only where the caller asks for special tokens; never part of decoded text. */
  readonly special: boolean;
  /** Looked for after normalization, not before. */
  readonly normalized: boolean;
  /** White space before it, or behind it, belongs to the token. */
  readonly stripLeft: boolean;
  readonly stripRight: boolean;
}

/**
 * A tokenizer by byte pair encoding or of the Unigram kind, whatever file it came from: plain data, from which encodeText,
 * TextDecoding and the C (by way of compileTokenizer) give the same ids and the same text.
 */
export interface TokenizerModel {
  /** The file it was read from. */
  readonly source: string;
  /** Rows of the embedding: every id is below it. Ids that no token has decode to nothing. */
  readonly vocabSize: number;
  /**
   * Tokens that merging passes through and that the model has no row for: their ids follow vocabSize in text, silent and merges.
   * Text that would end in one is refused (EM1112).
   */
  readonly passing: number;
  /** What each id adds to decoded text, before UTF-8 is put together; vocabSize + passing entries. */
  readonly text: readonly Uint8Array[];
  /** 1 for ids that decoding leaves out; vocabSize + passing entries. */
  readonly silent: Uint8Array;
  readonly normalizeNfc: boolean;
  /** Strings that are replaced, or null; never with normalizeNfc. */
  readonly characterMap: CharacterMap | null;
  readonly spaces: SpaceRules;
  readonly preTokenizer: PreTokenizer;
  /**
   * A space put before a text, and before what follows an added token: always, unless one stands there
   * already, or that only at the very beginning.
   */
  readonly prefixSpace: 'never' | 'always' | 'unless-there' | 'first-unless-there';
  /**
   * What merging starts from: bytes (byteIds), or characters (characterIds, then byteIds for those it lacks).
   */
  readonly symbols: 'bytes' | 'characters';
  /** 256 ids; -1 where the vocabulary has no token for the byte. */
  readonly byteIds: Int32Array;
  /** Ids by code point. The space stands for the character that replaces it, such as U+2581. */
  readonly characterIds: ReadonlyMap<number, number>;
  /** For what has no other token; null: such text is refused (EM1112). */
  readonly unknownId: number | null;
  /** Whether unknown characters in a row share one token. */
  readonly fuseUnknown: boolean;
  readonly merges: MergeTable;
  /**
   * Ids ascending by their text: pieces that are such a text are not merged (ignore_merges); with scores, the tokens that
   * text is made of. Empty otherwise.
   */
  readonly words: Uint32Array;
  /** Of a Unigram vocabulary: text becomes the words with the highest sum. null: pairs merge. */
  readonly unigram: UnigramScores | null;
  /** Longest content first: the order in which they are tried. */
  readonly added: readonly AddedToken[];
  /** The token that the tokenizer's configuration puts before a text, or null. */
  readonly bosId: number | null;
  /** Whether the first character of decoded text is left out if it is a space. */
  readonly stripFirstSpace: boolean;
}

/** What openTokenizer found: a tokenizer, or why there is none. */
export type TokenizerLookup =
  | { readonly tokenizer: TokenizerModel }
  | { readonly tokenizer: null; readonly reason: string };

/**
 * The tokenizer of a checkpoint. In a folder: tokenizer.json, else tokenizer.model, else vocab.json with merges.txt
 * (and pruned_vocab.json, where the model has rows for some of its tokens only);
 * tokenizer_config.json says whether a text has a beginning. A GGUF file brings its own, a PyTorch file may (stoi),
 * else it is looked for beside the file. For a llama2.c .bin file: tokNNN.bin with NNN the size of the vocabulary, or
 * tokenizer.bin.
 *
 * vocabSize: rows of the model's embedding. A checkpoint without a tokenizer is no error here: such a model
 * can be run by ids. Throws EM1001 for files that cannot be read, EM1102 to EM1111 for a tokenizer that
 * cannot be used.
 */
export function openTokenizer(checkpointPath: string, vocabSize: number): TokenizerLookup {
  if (!existsSync(checkpointPath)) {
    throw new EmbedError('EM1001', { where: checkpointPath, why: 'no such file or directory' });
  }
  if (statSync(checkpointPath).isDirectory()) return openInFolder(checkpointPath, vocabSize);
  const folder = dirname(checkpointPath);
  switch (fileFormat(checkpointPath)) {
    case 'gguf': {
      const tokenizer = openGgufTokenizer(checkpointPath, vocabSize);
      return tokenizer === null ? openInFolder(folder, vocabSize) : { tokenizer };
    }
    case 'pytorch': {
      const tokenizer = openCharacterTokenizer(checkpointPath, vocabSize);
      return tokenizer === null ? openInFolder(folder, vocabSize) : { tokenizer };
    }
    case 'llama2c': {
      const names = [`tok${vocabSize}.bin`, 'tokenizer.bin'];
      const name = names.find((candidate) => existsSync(join(folder, candidate)));
      if (name !== undefined) return { tokenizer: openLlama2cTokenizer(join(folder, name), vocabSize) };
      return openInFolder(folder, vocabSize, `${names.join(', ')}, `);
    }
    default:
      return openInFolder(folder, vocabSize);
  }
}

/** `others`: names that were looked for before, for the reason why there is none. */
function openInFolder(folder: string, vocabSize: number, others = ''): TokenizerLookup {
  const at = (name: string) => join(folder, name);
  if (existsSync(at('tokenizer.json')))
    return { tokenizer: openTokenizerJson(at('tokenizer.json'), vocabSize) };
  if (existsSync(at('tokenizer.model'))) {
    const config = readTokenizerConfig(at('tokenizer.model'));
    return { tokenizer: openSentencePiece(at('tokenizer.model'), config, vocabSize) };
  }
  if (existsSync(at('vocab.json')) && existsSync(at('merges.txt'))) {
    const rows = existsSync(at('pruned_vocab.json')) ? limits.vocabSize : vocabSize;
    const tokenizer = openVocabMerges(at('vocab.json'), at('merges.txt'), rows);
    if (rows === vocabSize) return { tokenizer };
    return { tokenizer: restrictedTokenizer(tokenizer, at('pruned_vocab.json'), vocabSize) };
  }
  const names = `${others}tokenizer.json, tokenizer.model or vocab.json with merges.txt`;
  const whole = existsSync(at('pruned_vocab.json')) ? ' (pruned_vocab.json only lists tokens of these)' : '';
  return { tokenizer: null, reason: `no ${names}${whole} in ${folder}` };
}

function fileFormat(path: string): FileFormat | null {
  const file = BoundedFile.open(path);
  try {
    const start = new Uint8Array(Math.min(16, file.size));
    file.read(0, start);
    return recognizeFormat(path, start);
  } finally {
    file.close();
  }
}

/**
 * Bytes of text that one step of decoding can write at most: every byte of a token may come out as U+FFFD,
 * and so may what was pending before it.
 */
export function longestDecodedText(model: TokenizerModel): number {
  const longest = model.text.reduce((most, bytes) => Math.max(most, bytes.length), 0);
  return 3 * (longest + 1);
}
