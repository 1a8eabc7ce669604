/** How often values occur, in bins of equal width on a logarithmic axis. */
export interface LogHistogram {
  /** Decimal exponent at which the first bin begins. */
  readonly firstDecade: number;
  readonly binsPerDecade: number;
  /** Values in [10^(firstDecade + i / binsPerDecade), 10^(firstDecade + (i + 1) / binsPerDecade)). */
  readonly counts: readonly number[];
  /** Values below the first bin, zero and what rounding made negative among them, and from the end of the last on. */
  readonly below: number;
  readonly above: number;
}

const FIRST_DECADE = -7;
const DECADES = 9;
const BINS_PER_DECADE = 5;

/** From 1e-7 to 1e2, five bins a decade. */
export function logHistogram(values: Iterable<number>): LogHistogram {
  const counts = new Array<number>(DECADES * BINS_PER_DECADE).fill(0);
  let [below, above] = [0, 0];
  for (const value of values) {
    const bin = value > 0 ? Math.floor((Math.log10(value) - FIRST_DECADE) * BINS_PER_DECADE) : -1;
    if (bin < 0) below++;
    else if (bin >= counts.length) above++;
    else counts[bin]! += 1;
  }
  return { firstDecade: FIRST_DECADE, binsPerDecade: BINS_PER_DECADE, counts, below, above };
}
