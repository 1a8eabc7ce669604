import type { Merge } from './merge-table.js';

export interface ScoredToken {
  readonly score: number;
  /** Bytes as Latin-1 characters, which a Map can look up. */
  readonly bytes: string;
}

/** Where run.c of llama2.c starts its search for the best pair; SentencePiece's scores are far above it. */
const lowestScore = -1e10;

/**
 * Every way to make a token of two others. Tokens of one score have one rank: the leftmost pair goes first
 * then.
 */
export function mergesByScore(tokens: readonly ScoredToken[], idOf: ReadonlyMap<string, number>): Merge[] {
  const scores = [...new Set(tokens.map(({ score }) => score))].sort((a, b) => b - a);
  const rankOf = new Map(scores.map((score, rank) => [score, rank]));
  const merges: Merge[] = [];
  for (const [merged, { bytes, score }] of tokens.entries()) {
    if (score <= lowestScore) continue; // run.c starts its search for the best pair there
    for (let cut = 1; cut < bytes.length; cut++) {
      const left = idOf.get(bytes.slice(0, cut));
      const right = left === undefined ? undefined : idOf.get(bytes.slice(cut));
      if (left === undefined || right === undefined) continue;
      merges.push({ left, right, rank: rankOf.get(score)!, merged });
    }
  }
  return merges;
}
