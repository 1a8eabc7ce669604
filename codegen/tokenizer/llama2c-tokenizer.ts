/** Tokenizers of llama2.c: tokenizer.bin, and the tokNNN.bin of its own trained vocabularies. */
import { BoundedFile } from '../checkpoint/bounded-file.js';
import { EmbedError } from '../diagnostics/error.js';
import { buildMergeTable } from './merge-table.js';
import { mergesByScore, type ScoredToken } from './merges-by-score.js';
import { spacesKept } from './settle-spaces.js';
import type { TokenizerModel } from './tokenizer.js';
import { codePointAt } from './utf8.js';

/** Bounds far above what export.py writes: the 32,000 tokens of Llama 2 have at most 27 bytes each. */
const mostBytes = 2 ** 26;
const mostTokenBytes = 256;

/** What run.c compiles in: ids of <unk>, <s> and </s>, and of the first of 256 byte tokens. */
const runC = { bosId: 1, eosId: 2, firstByteId: 3 } as const;

/**
 * Reads a tokenizer.bin: int32 length of the longest token, then for each token float32 score, int32 length,
 * bytes; little-endian. The file does not say how many tokens it has, so vocabSize must be right.
 *
 * The meaning is that of encode() and decode() in run.c: a space before every text that is not empty, bytes
 * for unknown characters, then always the pair whose token has the highest score, the leftmost among equals.
 * Any two neighbours whose texts together are a token can merge; these pairs are listed here once, so that
 * the run-time needs no string lookup.
 *
 * Throws EM1102 for a damaged file, EM1105 when it has another number of tokens, EM1106 for a token that
 * stands twice.
 */
export function openLlama2cTokenizer(path: string, vocabSize: number): TokenizerModel {
  const tokens = readTokens(path, vocabSize);
  const idOf = new Map<string, number>();
  for (const [id, { bytes }] of tokens.entries()) {
    const other = idOf.get(bytes);
    if (other !== undefined)
      throw new EmbedError('EM1106', { where: path, why: `tokens ${other} and ${id} are the same` });
    idOf.set(bytes, id);
  }
  const silent = new Uint8Array(vocabSize);
  silent[runC.bosId] = 1;
  silent[runC.eosId] = 1;
  return {
    source: path,
    vocabSize,
    passing: 0,
    text: tokens.map(({ bytes }) => decodedText(bytes)),
    silent,
    normalizeNfc: false,
    characterMap: null,
    spaces: spacesKept,
    preTokenizer: { pattern: 'none', digitsPerPiece: 0, digits: 'none' },
    prefixSpace: 'always',
    symbols: 'characters',
    byteIds: Int32Array.from({ length: 256 }, (_, byte) => runC.firstByteId + byte),
    characterIds: characterTokens(tokens),
    unknownId: null,
    fuseUnknown: false,
    merges: buildMergeTable(vocabSize, mergesByScore(tokens, idOf)),
    words: new Uint32Array(0),
    unigram: null,
    added: [],
    bosId: runC.bosId,
    stripFirstSpace: true,
  };
}

function readTokens(path: string, vocabSize: number): ScoredToken[] {
  const damaged = (why: string) => new EmbedError('EM1102', { where: path, why });
  const bytes = readWhole(path);
  const view = new DataView(bytes.buffer);
  const tokens: ScoredToken[] = [];
  let at = 4;
  for (; at < bytes.length; ) {
    if (at + 8 > bytes.length) throw damaged(`ends within token ${tokens.length}, at byte ${bytes.length}`);
    const score = view.getFloat32(at, true);
    const length = view.getInt32(at + 4, true);
    at += 8;
    if (Number.isNaN(score)) throw damaged(`score of token ${tokens.length} is not a number`);
    if (length < 1 || length > mostTokenBytes || at + length > bytes.length) {
      throw damaged(`token ${tokens.length} at byte ${at - 8} has length ${length}`);
    }
    tokens.push({ score, bytes: Buffer.from(bytes.subarray(at, at + length)).toString('latin1') });
    at += length;
  }
  const least = runC.firstByteId + 256;
  if (tokens.length !== vocabSize || tokens.length < least) {
    const expected = vocabSize < least ? `at least ${least}` : `${vocabSize}, as the embedding has rows`;
    throw new EmbedError('EM1105', {
      where: path,
      why: `has ${tokens.length} tokens; expected: ${expected}`,
    });
  }
  return tokens;
}

function readWhole(path: string): Uint8Array {
  const file = BoundedFile.open(path);
  try {
    if (file.size < 4 || file.size > mostBytes) {
      const why = `has ${file.size} bytes; expected: 4 to ${mostBytes}`;
      throw new EmbedError('EM1102', { where: path, why });
    }
    const bytes = new Uint8Array(file.size);
    file.read(0, bytes);
    return bytes;
  } finally {
    file.close();
  }
}

/** <0x0A> and its like decode to a byte. */
function decodedText(bytes: string): Uint8Array {
  const byte = /^<0x([0-9A-F]{2})>$/.exec(bytes);
  return byte ? Uint8Array.of(Number.parseInt(byte[1], 16)) : Buffer.from(bytes, 'latin1');
}

function characterTokens(tokens: readonly ScoredToken[]): Map<number, number> {
  const ids = new Map<number, number>();
  for (const [id, { bytes }] of tokens.entries()) {
    const text = Buffer.from(bytes, 'latin1');
    const found = codePointAt(text, 0, text.length);
    if ((found & 7) === text.length) ids.set(found >> 3, id);
  }
  return ids;
}
