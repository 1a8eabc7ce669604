import { characterClass, classOf } from './character-classes.js';
import { codePointAt, damagedByte } from './utf8.js';

/** How text is cut into the pieces within which merges happen. */
export interface PreTokenizer {
  /**
   * gpt2: the expression of GPT-2. cl100k: that of GPT-4, Llama 3 (numbers of up to three digits) and Qwen 2
   * (single digits), see patternOf. words: every space, and U+2581 for one, begins a piece. none: a text is one piece.
   */
  readonly pattern: 'none' | 'gpt2' | 'cl100k' | 'words';
  /** cl100k: digits a piece has at most. */
  readonly digitsPerPiece: number;
  /**
   * Cut before the pattern is applied: every digit by itself, runs of digits, or not. A digit is any of
   * \p{N}.
   */
  readonly digits: 'none' | 'each' | 'runs';
}

const gpt2Expression = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** Llama 3 and GPT-4, with the quantifier {1,3} of digits; Qwen 2, without one. */
export const cl100kExpression = (digits: '' | '{1,3}'): string =>
  [
    ...["(?i:'s|'t|'re|'ve|'m|'ll|'d)", '[^\\r\\n\\p{L}\\p{N}]?\\p{L}+', `\\p{N}${digits}`],
    ...[' ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*', '\\s*[\\r\\n]+', '\\s+(?!\\S)', '\\s+'],
  ].join('|');

/** GPT-4 as it is written today: the same pieces, with quantifiers that save time by not backtracking. */
const possessiveExpression = [
  ...["'(?i:[sdmt]|ll|ve|re)", '[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+', '\\p{N}{1,3}'],
  ...[' ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*', '\\s*[\\r\\n]', '\\s+(?!\\S)', '\\s+'],
].join('|');

const patterns: ReadonlyMap<string, Pick<PreTokenizer, 'pattern' | 'digitsPerPiece'>> = new Map([
  [gpt2Expression, { pattern: 'gpt2', digitsPerPiece: 0 }],
  [cl100kExpression('{1,3}'), { pattern: 'cl100k', digitsPerPiece: 3 }],
  [cl100kExpression(''), { pattern: 'cl100k', digitsPerPiece: 1 }],
  [possessiveExpression, { pattern: 'cl100k', digitsPerPiece: 3 }],
]);

/**
 * The pattern that an expression of a tokenizer.json stands for, or null. Expressions are recognised, not
 * interpreted.
 */
export function patternOf(expression: string): Pick<PreTokenizer, 'pattern' | 'digitsPerPiece'> | null {
  return patterns.get(expression) ?? null;
}

/** The ends of the pieces of text[start, end), ascending, the last one `end`. Linear in the length. */
export function* pieceEnds(
  settings: PreTokenizer,
  text: Uint8Array,
  start: number,
  end: number,
): Generator<number> {
  for (let at = start; at < end; ) {
    const stop = settings.digits === 'none' ? end : digitsEnd(settings.digits, text, at, end);
    while (at < stop) {
      if (settings.pattern === 'none') at = stop;
      else if (settings.pattern === 'words') at = wordEnd(text, at, stop);
      else if (settings.pattern === 'gpt2') at = gpt2End(text, at, stop);
      else at = cl100kEnd(text, at, stop, settings.digitsPerPiece);
      yield at;
    }
  }
}

const { other, letter, number, space } = characterClass;

/**
 * The class of the character at `at` and where it ends. Behind the end of the text: a class that equals no
 * other.
 */
function characterAt(
  text: Uint8Array,
  at: number,
  end: number,
): { code: number; class: number; end: number } {
  if (at >= end) return { code: damagedByte, class: -1, end };
  const found = codePointAt(text, at, end);
  return { code: found >> 3, class: classOf(found >> 3), end: at + (found & 7) };
}

/** Where a run of at most `most` characters of one class ends that starts at `at`. */
function runEnd(text: Uint8Array, at: number, end: number, itsClass: number, most = Infinity): number {
  for (let taken = 0; taken < most; taken++) {
    const character = characterAt(text, at, end);
    if (character.class !== itsClass) break;
    at = character.end;
  }
  return at;
}

/** Up to the next change between digits and other characters; a digit by itself if every digit is cut off. */
function digitsEnd(digits: 'each' | 'runs', text: Uint8Array, at: number, end: number): number {
  const first = characterAt(text, at, end);
  if (first.class === number) return digits === 'each' ? first.end : runEnd(text, at, end, number);
  for (let stop = first.end; ; ) {
    const character = characterAt(text, stop, end);
    if (character.class === number || stop >= end) return stop;
    stop = character.end;
  }
}

/** Before the next space or U+2581. */
function wordEnd(text: Uint8Array, at: number, end: number): number {
  let stop = characterAt(text, at, end).end;
  for (let next = characterAt(text, stop, end); stop < end; next = characterAt(text, stop, end)) {
    if (next.code === 0x20 || next.code === 0x2581) break;
    stop = next.end;
  }
  return stop;
}

/** 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
function gpt2End(text: Uint8Array, at: number, end: number): number {
  const contraction = contractionEnd(text, at, end, false);
  if (contraction > at) return contraction;
  const first = characterAt(text, at, end);
  const afterSpace = characterAt(text, first.end, end);
  const body = first.code === 0x20 && afterSpace.class !== -1 ? afterSpace : first;
  if (body.class !== space) return runEnd(text, body.end, end, body.class);
  return whiteSpaceEnd(text, at, end, false);
}

/** The alternatives of cl100kExpression in their order. */
function cl100kEnd(text: Uint8Array, at: number, end: number, digitsPerPiece: number): number {
  const contraction = contractionEnd(text, at, end, true);
  if (contraction > at) return contraction;
  const first = characterAt(text, at, end);
  const second = characterAt(text, first.end, end);
  if (first.class === letter) return runEnd(text, first.end, end, letter);
  if (first.class === number) return runEnd(text, at, end, number, digitsPerPiece);
  const isNewline = first.code === 0x0a || first.code === 0x0d;
  if (!isNewline && second.class === letter) return runEnd(text, second.end, end, letter);
  if (first.class === other || (first.code === 0x20 && second.class === other)) {
    let stop = runEnd(text, first.end, end, other);
    while (stop < end && (text[stop] === 0x0a || text[stop] === 0x0d)) stop++;
    return stop;
  }
  return whiteSpaceEnd(text, at, end, true);
}

/**
 * \s+(?!\S)|\s+: white space leaves its last character to the word that follows, unless it has only that one.
 * With `lines` \s*[\r\n]+ goes before: up to the last newline of the run, if there is one.
 */
function whiteSpaceEnd(text: Uint8Array, at: number, end: number, lines: boolean): number {
  let stop = at;
  let lastStart = at;
  let lastLine = -1;
  for (let character = characterAt(text, at, end); character.class === space; ) {
    lastStart = stop;
    stop = character.end;
    if (character.code === 0x0a || character.code === 0x0d) lastLine = stop;
    character = characterAt(text, stop, end);
  }
  if (lines && lastLine >= 0) return lastLine;
  return stop < end && lastStart > at ? lastStart : stop;
}

/** Where one of 's 't 're 've 'm 'll 'd ends that starts at `at`, or `at`. */
function contractionEnd(text: Uint8Array, at: number, end: number, anyCase: boolean): number {
  if (text[at] !== 0x27) return at;
  const fold = (i: number) =>
    i >= end ? 0 : anyCase && text[i] >= 0x41 && text[i] <= 0x5a ? text[i] + 32 : text[i];
  const a = String.fromCharCode(fold(at + 1));
  const b = String.fromCharCode(fold(at + 2));
  if ('stmd'.includes(a)) return at + 2;
  if (['re', 've', 'll'].includes(a + b)) return at + 3;
  // The long s, U+017F, is an s to an expression that ignores case.
  if (anyCase && fold(at + 1) === 0xc5 && fold(at + 2) === 0xbf) return at + 3;
  return at;
}
