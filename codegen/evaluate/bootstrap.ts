import { Pcg32 } from '../arithmetic/pcg32.js';
import { quantile } from './quantile.js';

/** A block of positions that are resampled together, because neighbours in a text depend on each other. */
export interface Block {
  /** Sum of the statistic over the block's positions. */
  readonly sum: number;
  /** Positions in the block. */
  readonly count: number;
}

export interface BootstrapOptions {
  readonly resamples: number;
  readonly seed: bigint;
}

/**
 * One-sided upper confidence bound of a mean over positions by the block bootstrap with the percentile method
 * (B. Efron and R. Tibshirani, An Introduction to the Bootstrap, 1993, chapters 8 and 13): blocks are drawn
 * with replacement, as many as there are; the mean of a resample is Σ sum / Σ count.
 *
 * @param blocks at least one
 * @param level confidence, 0.95 for the 95th percentile of the resampled means
 */
export function bootstrapUpperBound(
  blocks: readonly Block[],
  level: number,
  { resamples, seed }: BootstrapOptions,
): number {
  const generator = new Pcg32(seed);
  const sums = Float64Array.from(blocks, (block) => block.sum);
  const counts = Float64Array.from(blocks, (block) => block.count);
  const means = new Float64Array(resamples);
  for (let resample = 0; resample < resamples; resample++) {
    let sum = 0;
    let count = 0;
    for (let draw = 0; draw < sums.length; draw++) {
      const block = generator.nextBelow(sums.length);
      sum += sums[block];
      count += counts[block];
    }
    means[resample] = sum / count;
  }
  return quantile(means.sort(), level);
}
