/** The scores of a Unigram vocabulary (Kudo 2018) as integers. */

export interface UnigramScores {
  /** By id: the log-probability of a piece times 2^f, rounded; magnitudes are at most 2^30. 0 for what is no piece. */
  readonly pieces: Int32Array;
  /** Of a character that no piece begins and ends with. */
  readonly unknown: number;
}

/** What SentencePiece puts between the least probable piece and an unknown character. */
const unknownPenalty = 10;
const mostBits = 30;

/**
 * One f for all, the largest with which every magnitude is at most 2^30: 25 for the scores of usual vocabularies, -20 to -3.
 * Then a score that is a float32 of 1/4 and more is exact, sums are exact too, and of two ways to cut a text the better
 * one wins however little better it is. `scores`: by id; null for tokens that are no pieces.
 */
export function unigramScores(scores: readonly (number | null)[]): UnigramScores {
  const known = scores.map((score) => score ?? 0);
  const unknown = known.reduce((least, score) => Math.min(least, score), 0) - unknownPenalty;
  const largest = known.reduce((most, score) => Math.max(most, Math.abs(score)), -unknown);
  const factor = 2 ** (mostBits - Math.ceil(Math.log2(largest)));
  return {
    pieces: Int32Array.from(known, (score) => Math.round(score * factor)),
    unknown: Math.round(unknown * factor),
  };
}
