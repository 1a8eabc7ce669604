/** From magnitudes that calibration saw to the one that the largest int8 stands for. What is beyond is clipped. */
import { MagnitudeHistogram } from './magnitude-histogram.js';

export const rangeMethods = ['min-max', 'moving-average', 'percentile', 'kl', 'mse'] as const;
export type RangeMethod = (typeof rangeMethods)[number];

/** What is seen of the inputs of one quantize op. */
export class InputMagnitudes {
  readonly histogram = new MagnitudeHistogram();
  /** Moving average of the largest magnitude of a chunk of text. */
  average: number | null = null;

  add(values: Float32Array): void {
    this.histogram.add(values);
    let max = 0;
    for (const value of values) max = Math.max(max, Math.abs(value));
    this.average = this.average === null ? max : MEMORY * this.average + (1 - MEMORY) * max;
  }
}

/** The same of all quantize ops of a model. */
export class MagnitudesByRange {
  readonly #seen = new Map<string, InputMagnitudes>();

  add(range: string, values: Float32Array): void {
    const seen = this.#seen.get(range) ?? new InputMagnitudes();
    this.#seen.set(range, seen);
    seen.add(values);
  }

  /** What a method makes of each range. */
  *ranges(method: RangeMethod): Generator<readonly [range: string, largest: number]> {
    for (const [range, seen] of this.#seen) yield [range, rangeOf(seen, method)];
  }
}

/** Share of the moving average that a chunk leaves (Jacob et al. 2018, arXiv 1712.05877, section 3.1). */
const MEMORY = 0.9;
/** Share of values that the percentile covers. */
const COVERED = 0.9999;
/** What an empty bin counts as where values are clipped into it. */
const SMOOTH = 1e-4;
/** Magnitudes of int8. */
const LEVELS = 128;

/** The largest magnitude that is kept, 0 where all values were 0. */
export function rangeOf({ histogram, average }: InputMagnitudes, method: RangeMethod): number {
  if (histogram.max === 0) return 0;
  switch (method) {
    case 'min-max':
      return histogram.max;
    case 'moving-average':
      return average!;
    case 'percentile':
      return percentile(histogram, COVERED);
    case 'kl':
      return bestThreshold(histogram, divergenceAt);
    case 'mse':
      return bestThreshold(histogram, squaredErrorAt);
  }
}

/** The upper end of the bin below which the share of values lies, at most the largest magnitude. */
export function percentile({ counts, width, total, max }: MagnitudeHistogram, share: number): number {
  let below = 0;
  for (let bin = 0; bin < counts.length; bin++) {
    below += counts[bin]!;
    if (below >= share * total) return Math.min(max, (bin + 1) * width);
  }
  return max;
}

type Cost = (histogram: MagnitudeHistogram, bins: number) => number;

/** The end of the bins whose cost is least, from as many bins as there are levels on; the largest magnitude where they are fewer. */
function bestThreshold(histogram: MagnitudeHistogram, cost: Cost): number {
  const { used, width, max } = histogram;
  let best = { cost: Number.POSITIVE_INFINITY, range: max };
  for (let bins = Math.min(LEVELS, used); bins <= used; bins++) {
    const found = cost(histogram, bins);
    if (found < best.cost) best = { cost: found, range: Math.min(max, bins * width) };
  }
  return best.range;
}

/**
 * Divergence of the values after quantization from those before, values beyond the bins counting as the last (Migacz 2017, "8-bit
 * inference with TensorRT"): bins are merged to LEVELS, and each level spread evenly over those of its bins that hold anything.
 */
export function divergenceAt({ counts, used, total }: MagnitudeHistogram, bins: number): number {
  let beyond = 0;
  for (let bin = bins; bin < used; bin++) beyond += counts[bin]!;
  const clipped = (bin: number) => counts[bin]! + (bin === bins - 1 ? beyond : 0);
  let divergence = 0;
  const levels = Math.min(LEVELS, bins);
  let kept = 0;
  for (let bin = 0; bin < bins; bin++) kept += counts[bin]!;
  if (kept === 0) return Number.POSITIVE_INFINITY;
  for (let level = 0; level < levels; level++) {
    const first = Math.floor((level * bins) / levels);
    const end = Math.floor(((level + 1) * bins) / levels);
    let sum = 0;
    let filled = 0;
    for (let bin = first; bin < end; bin++) {
      sum += counts[bin]!;
      if (clipped(bin) > 0) filled++;
    }
    const q = sum / filled / kept;
    for (let bin = first; bin < end; bin++) {
      const p = clipped(bin) / total;
      if (p === 0) continue;
      divergence += p * Math.log(p / Math.max(q, SMOOTH / total));
    }
  }
  return divergence;
}

/** Mean squared error of rounding to the 127 steps of that range, and of clipping what is beyond, in squares of a bin. */
export function squaredErrorAt({ counts, used, total }: MagnitudeHistogram, bins: number): number {
  const step = bins / (LEVELS - 1);
  let error = 0;
  for (let bin = 0; bin < bins; bin++) error += (counts[bin]! * step * step) / 12;
  for (let bin = bins; bin < used; bin++) error += counts[bin]! * (bin + 0.5 - bins) ** 2;
  return error / total;
}
