/** vocab.json with merges.txt: byte-level BPE as GPT-2 was published. */
import { BoundedFile } from '../checkpoint/bounded-file.js';
import { EmbedError } from '../diagnostics/error.js';
import { JsonSection } from './json-section.js';
import type { TokenizerModel } from './tokenizer.js';
import { readSection, readTokenizerConfig, tokenizerOf } from './tokenizer-json.js';

const mostBytes = 2 ** 26;

/** Tokens of such a vocabulary that are never part of a text, where it has them. */
const specialTokens = ['<|endoftext|>'];

/**
 * Reads vocab.json (token to id) and merges.txt (a merge a line, best first, after a line #version) with the
 * pre-tokenizer of GPT-2. Throws what openTokenizerJson throws.
 */
export function openVocabMerges(vocabPath: string, mergesPath: string, vocabSize: number): TokenizerModel {
  const vocab = readSection(vocabPath).fields;
  const merges = readMerges(mergesPath);
  const special = specialTokens.filter((token) => Object.hasOwn(vocab, token));
  const root = byteLevelJson(
    vocab,
    merges,
    special.map((content) => ({ content, id: vocab[content] })),
  );
  return tokenizerOf(new JsonSection(vocabPath, '', root), readTokenizerConfig(vocabPath), vocabSize);
}

/** What a tokenizer.json of a byte-level vocabulary holds; `preTokenizer` is GPT-2's where none is given. */
export function byteLevelJson(
  vocab: unknown,
  merges: readonly (string | readonly [string, string])[],
  special: readonly { readonly content: string; readonly id: unknown }[],
  preTokenizer: unknown = { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
  model: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  return {
    added_tokens: special.map((token) => ({ ...token, special: true, normalized: false })),
    normalizer: null,
    pre_tokenizer: preTokenizer,
    decoder: { type: 'ByteLevel' },
    model: { type: 'BPE', vocab, merges, ...model },
  };
}

function readMerges(path: string): string[] {
  const file = BoundedFile.open(path);
  try {
    if (file.size > mostBytes) {
      const why = `has ${file.size} bytes; at most ${mostBytes} are read`;
      throw new EmbedError('EM1102', { where: path, why });
    }
    const bytes = new Uint8Array(file.size);
    file.read(0, bytes);
    const lines = new TextDecoder('utf-8', { fatal: true }).decode(bytes).split(/\r?\n/);
    return lines.filter((line, i) => line !== '' && !(i === 0 && line.startsWith('#version')));
  } catch (cause) {
    if (cause instanceof EmbedError) throw cause;
    throw new EmbedError('EM1102', { where: path, why: 'not UTF-8 text', cause });
  } finally {
    file.close();
  }
}
