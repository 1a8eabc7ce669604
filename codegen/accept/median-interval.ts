/** A one-sided bound on each side of the median, each with 95 % confidence. */
export interface MedianInterval {
  readonly median: number;
  /** null: too few values determine it. */
  readonly lower95: number | null;
  readonly upper95: number | null;
}

/**
 * The median with bounds from order statistics, for independent values of any continuous distribution: the k-th smallest value lies
 * above the median only when fewer than k values lie below it, which happens with the probability of fewer than k heads in as many
 * tosses as there are values (G. J. Hahn and W. Q. Meeker, Statistical Intervals, 1991, section 5.2). Outliers, however far,
 * count as one value.
 *
 * @param values at least one; below five there are no bounds
 */
export function medianInterval(values: readonly number[]): MedianInterval {
  const ascending = [...values].sort((a, b) => a - b);
  const count = ascending.length;
  const middle = count >> 1;
  const median = count % 2 === 1 ? ascending[middle]! : (ascending[middle - 1]! + ascending[middle]!) / 2;
  const rank = boundRank(count);
  return rank === 0
    ? { median, lower95: null, upper95: null }
    : { median, lower95: ascending[rank - 1]!, upper95: ascending[count - rank]! };
}

/** The largest k with P(fewer than k heads in `count` tosses) <= 5 %; 0 where there is none. */
function boundRank(count: number): number {
  let probability = 2 ** -count; // of exactly `rank` heads
  let sum = 0;
  let rank = 0;
  while (sum + probability <= 0.05) {
    sum += probability;
    probability *= (count - rank) / (rank + 1);
    rank++;
  }
  return rank;
}
