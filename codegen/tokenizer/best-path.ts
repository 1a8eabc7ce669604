import type { TokenizerModel } from './tokenizer.js';
import type { UnigramScores } from './unigram-scores.js';
import { codePointAt } from './utf8.js';

/** A part of the best path: the token of text[start, end), or -1 for a character that no token has. */
export interface PathPart {
  readonly id: number;
  readonly start: number;
  readonly end: number;
}

/** Sums are brought back towards 0 before they can lose bits in a double. */
const mostSum = 2 ** 52;

/**
 * The tokens with the highest sum of scores that together are the text (Viterbi 1967, as SentencePiece searches): of equal
 * sums the one whose last token is longest, and so on to the front. A character can be unknown where it is no token by itself.
 * O(bytes x longest token x log vocabulary).
 */
export function bestPath(model: TokenizerModel, scores: UnigramScores, text: Uint8Array): PathPart[] {
  const sums = new Float64Array(text.length + 1);
  const starts = new Int32Array(text.length + 1).fill(-1);
  const ids = new Int32Array(text.length + 1);
  let base = 0;
  let reached = 0; // the farthest end of a token so far
  const offer = (start: number, end: number, id: number, score: number) => {
    const sum = sums[start]! + score;
    reached = Math.max(reached, end);
    if (starts[end]! >= 0 && sum <= sums[end]!) return;
    sums[end] = sum;
    starts[end] = start;
    ids[end] = id;
  };
  for (let at = 0; at < text.length; at++) {
    if (at > 0 && starts[at]! < 0) continue;
    base = sums[at]!;
    if (Math.abs(base) > mostSum) for (let end = at; end <= reached; end++) sums[end] = sums[end]! - base;
    const next = at + (codePointAt(text, at, text.length) & 7);
    let isToken = false;
    for (const id of tokensAt(model, text, at)) {
      const end = at + model.text[id]!.length;
      offer(at, end, id, scores.pieces[id]!);
      isToken ||= end === next;
    }
    if (!isToken) offer(at, next, -1, scores.unknown);
  }
  const path: PathPart[] = [];
  for (let end = text.length; end > 0; end = starts[end]!)
    path.push({ id: ids[end]!, start: starts[end]!, end });
  return path.reverse();
}

/** The tokens of model.words that text[start, ...) begins with, ascending by length. */
function* tokensAt(
  { words, text: texts }: TokenizerModel,
  text: Uint8Array,
  start: number,
): Generator<number> {
  let low = 0;
  let high = words.length;
  for (let depth = 0; start + depth < text.length && low < high; depth++) {
    // Words from low to high begin with the same `depth` bytes; those that end there have no byte, -1.
    const byteOf = (at: number) => texts[words[at]!]![depth] ?? -1;
    const byte = text[start + depth]!;
    low = firstAtLeast(byteOf, low, high, byte);
    high = firstAtLeast(byteOf, low, high, byte + 1);
    if (low < high && texts[words[low]!]!.length === depth + 1) yield words[low]!;
  }
}

function firstAtLeast(keyOf: (at: number) => number, low: number, high: number, value: number): number {
  while (low < high) {
    const middle = (low + high) >> 1;
    if (keyOf(middle) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
