/**
 * Share of n-grams that occurred before in the same text: 1 - distinct / all (seq-rep-n of Welleck et al., "Neural text generation
 * with unlikelihood training", 2020, arXiv 1908.04319). 0 for a text of fewer than n tokens.
 *
 * @param ids the continuation, without its prompt
 * @param n tokens of an n-gram, at least 1
 */
export function ngramRepetition(ids: readonly number[], n: number): number {
  const all = ids.length - n + 1;
  if (all < 1) return 0;
  const distinct = new Set(Array.from({ length: all }, (_, at) => ids.slice(at, at + n).join()));
  return 1 - distinct.size / all;
}
