/**
 * The tokenizer table: one section of the blob, from which em_tokenizer.c encodes and decodes. Little-endian;
 * offsets are bytes from its start and multiples of 8. templates/runtime/em_tokenizer.h is the other half of
 * this definition.
 *
 * Header, 60 bytes of u32 (i32 where ids may be absent, which is -1):
 *    0 magic "EMTK"
 *    4 version, 2
 *    8 bytes of the whole table
 *   12 flags, see tableFlag
 *   16 pattern: 0 none, 1 gpt2, 2 cl100k, 3 words
 *   20 digits a piece has at most (cl100k)
 *   24 digits cut before the pattern: 0 none, 1 each, 2 runs
 *   28 prefix space: 0 never, 1 always, 2 unless there, 3 as 2, but only at the beginning of the text
 *   32 vocabulary: ids are below it, also of tokens that merging passes through
 *   36 i32 token of unknown characters
 *   40 i32 token put before a text
 *   44 bytes of the longest text of a token
 *   48 i32 score of an unknown character (Unigram)
 *   52 bytes that a byte of text may become by normalization
 *   56 rows: ids that come out are below it
 *
 * Directory, 18 pairs (u32 offset, u32 count of elements), in this order:
 *    0 text ends      u32[vocabulary + 1]: text of token i is text[ends[i], ends[i + 1])
 *    1 text           u8[]: the texts of all tokens, then the contents of added tokens
 *    2 silent         u8[]: one bit a token, lowest first: decoding leaves the token out
 *    3 byte ids       i32[256]: token of each byte, or -1
 *    4 characters     {u32 code point, i32 id}[], ascending; none if merging starts from bytes
 *    5 merge rows     u32[vocabulary + 1]: merges with left token i are merges[rows[i], rows[i + 1])
 *    6 merges         {u32 right, u32 rank, u32 merged}[], within a row ascending by right token
 *    7 words          u32[]: ids ascending by text: pieces that are not merged further; the tokens of a Unigram vocabulary
 *    8 added          {u32 start in text, u32 bytes, i32 id, u32 flags}[], longest first; see addedFlag
 *    9 class index    u8[]: page of code points [256 i, 256 i + 256)
 *   10 class pages    u8[64 a page]: two bits a code point, lowest first: 0 other, 1 letter, 2 number
 *   11 combining      u32[]: code point x 256 + combining class, ascending
 *   12 decompositions {u32 code point, u32 first part x 8 + count}[], ascending by code point
 *   13 parts          u32[]: code points of the decompositions
 *   14 compositions   {u32 first, u32 second, u32 composite}[], ascending by first, then second
 *
 *   15 scores         i32[vocabulary]: log-probabilities of words, all times the same power of two; magnitudes up to 2^30
 *   16 map units      u32[]: double array of the strings that are replaced, see character-map.ts
 *   17 map texts      u8[]: what they become, each with a zero behind it
 *
 * 9 and 10 are empty without a pattern and without digits, 11 to 14 without NFC, 15 where pairs merge,
 * 16 and 17 without a map.
 */
import { characterClassTable } from './character-classes.js';
import { nfcGrowth, normalizationTables } from './normalization.js';
import type { TokenizerModel } from './tokenizer.js';

const magic = 0x4b544d45;
const version = 2;
const headerBytes = 60;

const tableFlag = {
  ...{ bytes: 1, nfc: 2, fuseUnknown: 4, stripFirstSpace: 8, unigram: 16 },
  ...{ trimsLeft: 32, trimsRight: 64, trimsWhite: 128 },
  ...{ collapsesSpaces: 256, collapsesWhite: 512, readsMark: 1024 },
} as const;
const addedFlag = { special: 1, stripLeft: 2, stripRight: 4, normalized: 8 } as const;
const patternCode = { none: 0, gpt2: 1, cl100k: 2, words: 3 } as const;
const digitsCode = { none: 0, each: 1, runs: 2 } as const;
const prefixCode = { never: 0, always: 1, 'unless-there': 2, 'first-unless-there': 3 } as const;

/** A part of the table: its bytes and how many elements they are. */
interface Part {
  readonly bytes: Uint8Array;
  readonly count: number;
}

/** The table of a tokenizer: the same bytes for the same model, on any host. */
export function compileTokenizer(model: TokenizerModel): Uint8Array {
  const parts = partsOf(model);
  const offsets: number[] = [];
  let size = headerBytes + 8 * parts.length;
  for (const { bytes } of parts) {
    size = align8(size);
    offsets.push(size);
    size += bytes.length;
  }
  const table = new Uint8Array(align8(size));
  const header = headerWords(model, table.length);
  for (const [i, { bytes, count }] of parts.entries()) {
    header.push(offsets[i], count);
    table.set(bytes, offsets[i]);
  }
  table.set(words(header).bytes, 0);
  return table;
}

function headerWords(model: TokenizerModel, bytes: number): number[] {
  const { preTokenizer } = model;
  return [
    ...[magic, version, bytes, flagsOf(model)],
    ...[patternCode[preTokenizer.pattern], preTokenizer.digitsPerPiece, digitsCode[preTokenizer.digits]],
    ...[prefixCode[model.prefixSpace], model.text.length, model.unknownId ?? -1, model.bosId ?? -1],
    model.text.reduce((longest, text) => Math.max(longest, text.length), 0),
    ...[model.unigram?.unknown ?? 0, growthOf(model), model.vocabSize],
  ];
}

function flagsOf(model: TokenizerModel): number {
  const { spaces } = model;
  const set: Record<keyof typeof tableFlag, boolean> = {
    bytes: model.symbols === 'bytes',
    nfc: model.normalizeNfc,
    fuseUnknown: model.fuseUnknown,
    stripFirstSpace: model.stripFirstSpace,
    unigram: model.unigram !== null,
    trimsLeft: spaces.trimsLeft,
    trimsRight: spaces.trimsRight,
    trimsWhite: spaces.trimsWhite,
    collapsesSpaces: spaces.collapses === 'spaces',
    collapsesWhite: spaces.collapses === 'white',
    readsMark: spaces.readsMark,
  };
  const names = Object.keys(tableFlag) as (keyof typeof tableFlag)[];
  return names.reduce((flags, name) => flags | (set[name] ? tableFlag[name] : 0), 0);
}

function growthOf({ normalizeNfc, characterMap }: TokenizerModel): number {
  return normalizeNfc ? nfcGrowth : (characterMap?.growth ?? 1);
}

function partsOf(model: TokenizerModel): Part[] {
  const text = textParts(model);
  const { merges } = model;
  const characters = [...model.characterIds].sort(([a], [b]) => a - b);
  const mergeWords = new Uint32Array(3 * merges.rights.length);
  for (let i = 0; i < merges.rights.length; i++) {
    mergeWords.set([merges.rights[i], merges.ranks[i], merges.merged[i]], 3 * i);
  }
  const { pattern } = model.preTokenizer;
  const classed = (pattern !== 'none' && pattern !== 'words') || model.preTokenizer.digits !== 'none';
  const classes = classed ? characterClassTable : { index: new Uint8Array(0), pages: new Uint8Array(0) };
  const mapTexts = model.characterMap?.texts ?? new Uint8Array(0);
  const nfc = model.normalizeNfc ? normalizationTables() : null;
  return [
    words(text.ends),
    { bytes: text.bytes, count: text.bytes.length },
    bitmap(model.silent),
    words(model.byteIds),
    words(characters.flat(), 2),
    words(merges.rows),
    words(mergeWords, 3),
    words(model.words),
    words(text.added, 4),
    { bytes: classes.index, count: classes.index.length },
    { bytes: classes.pages, count: classes.pages.length },
    words(nfc?.combining ?? []),
    words(nfc?.decompositions ?? [], 2),
    words(nfc?.parts ?? []),
    words(nfc?.compositions ?? [], 3),
    words(model.unigram?.pieces ?? []),
    words(model.characterMap?.units ?? []),
    { bytes: mapTexts, count: mapTexts.length },
  ];
}

function textParts(model: TokenizerModel): { ends: Uint32Array; bytes: Uint8Array; added: number[] } {
  const ends = new Uint32Array(model.text.length + 1);
  let size = 0;
  for (const [id, { length }] of model.text.entries()) {
    size += length;
    ends[id + 1] = size;
  }
  const added: number[] = [];
  for (const token of model.added) {
    const flags =
      (token.special ? addedFlag.special : 0) |
      (token.stripLeft ? addedFlag.stripLeft : 0) |
      (token.stripRight ? addedFlag.stripRight : 0) |
      (token.normalized ? addedFlag.normalized : 0);
    added.push(size, token.content.length, token.id, flags);
    size += token.content.length;
  }
  const bytes = new Uint8Array(size);
  for (const [id, text] of model.text.entries()) bytes.set(text, ends[id]);
  for (const [i, { content }] of model.added.entries()) bytes.set(content, added[4 * i]);
  return { ends, bytes, added };
}

/** 32-bit words in little-endian order; an element has `perElement` of them. -1 becomes 0xffffffff. */
function words(values: ArrayLike<number>, perElement = 1): Part {
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < values.length; i++) view.setUint32(4 * i, values[i] >>> 0, true);
  return { bytes, count: values.length / perElement };
}

/** One bit a value, the lowest bit first. */
function bitmap(values: Uint8Array): Part {
  const bytes = new Uint8Array((values.length + 7) >> 3);
  for (const [i, value] of values.entries()) bytes[i >> 3] |= value << (i & 7);
  return { bytes, count: bytes.length };
}

function align8(bytes: number): number {
  return (bytes + 7) & ~7;
}
