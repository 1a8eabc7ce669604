import { letterRanges, numberRanges } from './unicode-data.js';
import { parseRanges } from './unicode-ranges.js';

/**
 * What pre-tokenizer patterns tell apart: \p{L}, \p{N}, \s and the rest. The numbers stand in the table,
 * except space.
 */
export const characterClass = { other: 0, letter: 1, number: 2, space: 3 } as const;

/**
 * Letters and numbers as a two-level table: page = index[code >> 8], class = two bits of pages[page * 64 ..],
 * the lowest bits first. Code points beyond the index are other.
 */
export interface CharacterClassTable {
  readonly index: Uint8Array;
  readonly pages: Uint8Array;
}

const pageBytes = 64; // 256 code points of two bits

/** Built once: it does not depend on the tokenizer. */
export const characterClassTable: CharacterClassTable = buildTable();

/** The class of a code point; damaged bytes are other. */
export function classOf(code: number): number {
  if (isWhiteSpace(code)) return characterClass.space;
  const page = code >> 8;
  if (page >= characterClassTable.index.length) return characterClass.other;
  const byte = characterClassTable.pages[characterClassTable.index[page] * pageBytes + ((code & 0xff) >> 2)];
  return (byte >> (2 * (code & 3))) & 3;
}

/**
 * The Unicode property White_Space, which is \s of the Oniguruma and Rust expressions that define tokenizers.
 * JavaScript's own \s differs: it has U+FEFF and lacks U+0085.
 */
export function isWhiteSpace(code: number): boolean {
  if (code < 0x80) return code === 0x20 || (code >= 0x09 && code <= 0x0d);
  if (code < 0x1680) return code === 0x85 || code === 0xa0;
  if (code >= 0x2000 && code <= 0x200a) return true;
  return [0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000].includes(code);
}

function buildTable(): CharacterClassTable {
  const classes = new Uint8Array(0x110000);
  let last = 0;
  for (const [ranges, value] of [
    [letterRanges, characterClass.letter],
    [numberRanges, characterClass.number],
  ] as const) {
    for (const { first, count } of parseRanges(ranges)) {
      classes.fill(value, first, first + count);
      last = Math.max(last, first + count - 1);
    }
  }
  const index = new Uint8Array((last >> 8) + 1);
  const pages: Uint8Array[] = [];
  const known = new Map<string, number>();
  for (let page = 0; page < index.length; page++) {
    const packed = new Uint8Array(pageBytes);
    for (let i = 0; i < 256; i++) packed[i >> 2] |= classes[page * 256 + i] << (2 * (i & 3));
    const key = packed.toString();
    const at = known.get(key) ?? pages.push(packed) - 1;
    known.set(key, at);
    index[page] = at;
  }
  return { index, pages: Uint8Array.from(pages.flatMap((page) => [...page])) };
}
