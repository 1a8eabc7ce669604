import { EmbedError } from '../diagnostics/error.js';
import { AddedTokenSearch } from './added-token-search.js';
import { bestPath, type PathPart } from './best-path.js';
import { mergeSymbols } from './merge-symbols.js';
import { normalizeNfc } from './normalization.js';
import { pieceEnds } from './pre-tokenizer.js';
import { settleSpaces } from './settle-spaces.js';
import type { TokenizerModel } from './tokenizer.js';
import { codePointAt, utf8 } from './utf8.js';

export interface EncodeOptions {
  /** Start with the token that the tokenizer's configuration puts before a text, where it has one. */
  readonly bos?: boolean;
  /** Recognise special tokens written in the text. */
  readonly special?: boolean;
}

/**
 * Token ids of a text, as em_tokenize gives them. Bytes that are no UTF-8 are encoded as bytes. Throws EM1112
 * for text that the vocabulary has no ids for.
 */
export function encodeText(
  model: TokenizerModel,
  text: string | Uint8Array,
  options: EncodeOptions = {},
): Int32Array {
  const encoder = new Encoder(model, options.special === true);
  if (options.bos === true && model.bosId !== null) encoder.ids.push(model.bosId);
  encoder.encode(typeof text === 'string' ? utf8(text) : text);
  return Int32Array.from(encoder.ids);
}

const spaceReplacement = 0x2581; // the character that SentencePiece writes for a space

class Encoder {
  readonly ids: number[] = [];
  private readonly model: TokenizerModel;
  private readonly raw: AddedTokenSearch;
  private readonly normalized: AddedTokenSearch;
  private symbols = new Int32Array(64);

  constructor(model: TokenizerModel, special: boolean) {
    const added = model.added.filter((token) => special || !token.special);
    this.model = model;
    this.raw = new AddedTokenSearch(added.filter((token) => !token.normalized));
    this.normalized = new AddedTokenSearch(added.filter((token) => token.normalized));
  }

  /**
   * Added tokens first, then normalization of what lies between them, then the added tokens that are
   * normalized too.
   */
  encode(text: Uint8Array): void {
    this.split(this.raw, text, (start, end) => {
      const section = this.normalizedText(text.subarray(start, end));
      this.split(this.normalized, section, (from, to) => {
        this.encodeSection(section.subarray(from, to), start === 0 && from === 0);
      });
    });
  }

  private normalizedText(text: Uint8Array): Uint8Array {
    const { normalizeNfc: toNfc, characterMap, spaces } = this.model;
    return settleSpaces(spaces, toNfc ? normalizeNfc(text) : (characterMap?.apply(text) ?? text));
  }

  private split(search: AddedTokenSearch, text: Uint8Array, visit: (start: number, end: number) => void) {
    for (let at = 0; at < text.length; ) {
      const match = search.find(text, at, text.length);
      const end = match ? match.start : text.length;
      if (end > at) visit(at, end);
      if (match) this.ids.push(match.id);
      at = match ? match.stop : end;
    }
  }

  private encodeSection(section: Uint8Array, isFirst: boolean): void {
    let text = section;
    if (this.wantsPrefix(section, isFirst)) {
      text = new Uint8Array(section.length + 1);
      text[0] = 0x20;
      text.set(section, 1);
    }
    let start = 0;
    for (const end of pieceEnds(this.model.preTokenizer, text, 0, text.length)) {
      this.encodePiece(text.subarray(start, end));
      start = end;
    }
  }

  private wantsPrefix(section: Uint8Array, isFirst: boolean): boolean {
    const { prefixSpace, symbols } = this.model;
    if (prefixSpace === 'always') return true;
    if (prefixSpace === 'never' || (prefixSpace === 'first-unless-there' && !isFirst)) return false;
    const code = codePointAt(section, 0, section.length) >> 3;
    return !(code === 0x20 || (symbols === 'characters' && code === spaceReplacement));
  }

  private encodePiece(piece: Uint8Array): void {
    const { unigram, merges } = this.model;
    const word = unigram === null ? this.findWord(piece) : -1;
    if (word >= 0) {
      this.ids.push(word);
      return;
    }
    if (this.symbols.length < piece.length) this.symbols = new Int32Array(2 * piece.length);
    const left =
      unigram === null
        ? mergeSymbols(merges, this.symbols, this.startSymbols(piece))
        : this.symbolsOf(piece, bestPath(this.model, unigram, piece));
    for (let i = 0; i < left; i++) {
      if (this.symbols[i] >= this.model.vocabSize) this.refuse(this.model.text[this.symbols[i]]);
      this.ids.push(this.symbols[i]);
    }
  }

  /** Fills this.symbols with the ids that merging starts from. Returns how many. */
  private startSymbols(piece: Uint8Array): number {
    const { symbols, characterIds } = this.model;
    const parts: PathPart[] = [];
    for (let at = 0, next = 0; at < piece.length; at = next) {
      const found = codePointAt(piece, at, piece.length);
      next = symbols === 'bytes' ? at + 1 : at + (found & 7);
      const id = symbols === 'bytes' ? -1 : (characterIds.get(found >> 3) ?? -1);
      parts.push({ id, start: at, end: next });
    }
    return this.symbolsOf(piece, parts);
  }

  /** Fills this.symbols with the ids of the parts of a piece: bytes, or the unknown token, for those that have none. */
  private symbolsOf(piece: Uint8Array, parts: Iterable<PathPart>): number {
    const { byteIds } = this.model;
    let count = 0;
    let afterUnknown = false;
    for (const { id, start, end } of parts) {
      const bytes = piece.subarray(start, end);
      const isUnknown = id < 0 && bytes.some((byte) => byteIds[byte] < 0);
      if (id >= 0) this.symbols[count++] = id;
      else if (!isUnknown) for (const byte of bytes) this.symbols[count++] = byteIds[byte];
      else if (!(afterUnknown && this.model.fuseUnknown)) this.symbols[count++] = this.unknown(bytes);
      afterUnknown = isUnknown;
    }
    return count;
  }

  private unknown(bytes: Uint8Array): number {
    return this.model.unknownId ?? this.refuse(bytes);
  }

  private refuse(bytes: Uint8Array): never {
    const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
    throw new EmbedError('EM1112', {
      where: this.model.source,
      why: `no token for ${JSON.stringify(Buffer.from(bytes).toString())} (bytes ${hex})`,
    });
  }

  /** The token whose text is the piece, where pieces are looked up before they are merged; -1: none. */
  private findWord(piece: Uint8Array): number {
    const { words, text } = this.model;
    let low = 0;
    let high = words.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const order = Buffer.compare(text[words[middle]], piece);
      if (order === 0) return words[middle];
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return -1;
  }
}
