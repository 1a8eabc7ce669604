/** Unicode Normalization Form C (UAX #15) over UTF-8, from the data of unicode-data.ts, as the C does it. */
import { combiningRanges, decompositionWords } from './unicode-data.js';
import { parseRanges, parseWords } from './unicode-ranges.js';
import { codePointAt, putCodePoint } from './utf8.js';

export interface NormalizationTables {
  /** Code point x 256 + combining class, ascending. */
  readonly combining: Uint32Array;
  /**
   * Pairs: code point, first index in `parts` x 8 + how many; ascending by code point. Full decompositions,
   * no Hangul.
   */
  readonly decompositions: Uint32Array;
  readonly parts: Uint32Array;
  /** Triples first, second, composite; ascending by first, then second. */
  readonly compositions: Uint32Array;
}

/** The Hangul syllables, which are composed by arithmetic (Unicode, section 3.12). */
const hangul = { s: 0xac00, l: 0x1100, v: 0x1161, t: 0x11a7, lCount: 19, vCount: 21, tCount: 28 } as const;
const hangulSyllables = hangul.lCount * hangul.vCount * hangul.tCount;

/** Bytes of UTF-8 that form C can make of one byte, at most. */
export const nfcGrowth = 3;

let built: (NormalizationTables & { readonly maps: Maps }) | null = null;

interface Maps {
  readonly combining: Map<number, number>;
  readonly decompositions: Map<number, readonly number[]>;
  readonly compositions: Map<number, number>;
}

const pairKey = (first: number, second: number) => first * 2 ** 21 + second;

/** The tables, built when a tokenizer first needs them. */
export function normalizationTables(): NormalizationTables & { readonly maps: Maps } {
  built ??= buildTables();
  return built;
}

function buildTables(): NormalizationTables & { readonly maps: Maps } {
  const maps: Maps = { combining: new Map(), decompositions: new Map(), compositions: new Map() };
  for (const { first, count, value } of parseRanges(combiningRanges)) {
    for (let code = first; code < first + count; code++) maps.combining.set(code, value);
  }
  // The composite of a longer decomposition is made from the composite of all but its last part.
  const composites = new Map<string, number>();
  const composable: (readonly [number, readonly number[]])[] = [];
  let end = 0;
  for (const { marked, fields } of parseWords(decompositionWords)) {
    const [gap, ...parts] = fields;
    const code = end + gap;
    end = code + 1;
    maps.decompositions.set(code, parts);
    if (marked) continue;
    composites.set(parts.join(), code);
    composable.push([code, parts]);
  }
  for (const [code, parts] of composable) {
    const head = parts.slice(0, -1);
    const first = head.length === 1 ? head[0] : composites.get(head.join());
    if (first === undefined) throw new Error(`no composite for the first parts of ${code.toString(16)}`);
    maps.compositions.set(pairKey(first, parts.at(-1)!), code);
  }
  const decompositions: number[] = [];
  const parts: number[] = [];
  for (const [code, all] of maps.decompositions) {
    decompositions.push(code, parts.length * 8 + all.length);
    parts.push(...all);
  }
  const compositions = [...maps.compositions].sort(([a], [b]) => a - b);
  return {
    maps,
    combining: Uint32Array.from(maps.combining, ([code, value]) => code * 256 + value),
    decompositions: Uint32Array.from(decompositions),
    parts: Uint32Array.from(parts),
    compositions: Uint32Array.from(
      compositions.flatMap(([key, code]) => [Math.floor(key / 2 ** 21), key % 2 ** 21, code]),
    ),
  };
}

/** Form C of UTF-8 text; damaged bytes stay as they are. */
export function normalizeNfc(text: Uint8Array): Uint8Array {
  if (text.every((byte) => byte < 0x80)) return text;
  const codes = compose(reorder(decompose(text)));
  const out = new Uint8Array(text.length * nfcGrowth);
  let at = 0;
  for (const code of codes) at = putCodePoint(out, at, code);
  return out.subarray(0, at);
}

function decompose(text: Uint8Array): number[] {
  const { decompositions } = normalizationTables().maps;
  const codes: number[] = [];
  for (let at = 0; at < text.length; ) {
    const found = codePointAt(text, at, text.length);
    at += found & 7;
    const code = found >> 3;
    const syllable = code - hangul.s;
    const parts = decompositions.get(code);
    if (parts) codes.push(...parts);
    else if (syllable >= 0 && syllable < hangulSyllables) {
      const lv = Math.floor(syllable / hangul.tCount);
      codes.push(hangul.l + Math.floor(lv / hangul.vCount), hangul.v + (lv % hangul.vCount));
      if (syllable % hangul.tCount !== 0) codes.push(hangul.t + (syllable % hangul.tCount));
    } else codes.push(code);
  }
  return codes;
}

/** Sorts every run of marks by combining class; marks of one class keep their order. */
function reorder(codes: number[]): number[] {
  const { combining } = normalizationTables().maps;
  for (let at = 0; at < codes.length; at++) {
    if (!combining.has(codes[at])) continue;
    let end = at + 1;
    while (end < codes.length && combining.has(codes[end])) end++;
    const run = codes.slice(at, end).sort((a, b) => combining.get(a)! - combining.get(b)!);
    for (const [i, code] of run.entries()) codes[at + i] = code;
    at = end;
  }
  return codes;
}

function compose(codes: number[]): number[] {
  const { combining } = normalizationTables().maps;
  let starter = -1;
  let lastClass = 0;
  let kept = 0;
  for (const code of codes) {
    const itsClass = combining.get(code) ?? 0;
    const reachable = starter >= 0 && (kept - 1 === starter || (lastClass !== 0 && lastClass < itsClass));
    const composite = reachable ? composePair(codes[starter], code) : undefined;
    if (composite !== undefined) {
      codes[starter] = composite;
      continue;
    }
    if (itsClass === 0) starter = kept;
    lastClass = itsClass;
    codes[kept++] = code;
  }
  codes.length = kept;
  return codes;
}

function composePair(first: number, second: number): number | undefined {
  const l = first - hangul.l;
  const v = second - hangul.v;
  if (l >= 0 && l < hangul.lCount && v >= 0 && v < hangul.vCount) {
    return hangul.s + (l * hangul.vCount + v) * hangul.tCount;
  }
  const syllable = first - hangul.s;
  const t = second - hangul.t;
  if (syllable >= 0 && syllable < hangulSyllables && syllable % hangul.tCount === 0) {
    if (t > 0 && t < hangul.tCount) return first + t;
  }
  return normalizationTables().maps.compositions.get(pairKey(first, second));
}
