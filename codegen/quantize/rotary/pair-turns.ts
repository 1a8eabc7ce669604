/** Turns and scales of rotary pairs, as they are written down and done to the rows of projections. */
import { scaleOf } from '../folds/folds.js';
import type { RotaryPlace } from './rotary-places.js';

/** Steps of an angle in half a turn. An angle and the same plus a quarter turn have the same largest magnitudes. */
const STEPS_PER_HALF_TURN = 256;
export const STEPS_PER_QUARTER_TURN = STEPS_PER_HALF_TURN / 2;

export const angleOf = (steps: number): number => (steps * Math.PI) / STEPS_PER_HALF_TURN;

/** What happens to the pairs of the heads of a projection: (a, b) becomes factor * (a cos - b sin, a sin + b cos). */
export interface PairTurns {
  readonly headDim: number;
  /** Of head h, pair i at h headDim / 2 + i: factor times cosine and factor times sine. */
  readonly cosines: Float64Array;
  readonly sines: Float64Array;
}

/**
 * Turns of the keys and of the queries of a place, from int8[kvHeads x headDim]: of every head the steps of the scales of its pairs
 * (folds.ts), then those of their angles.
 */
export function pairTurns(
  { headDim, shared, channels }: RotaryPlace,
  steps: Int8Array,
): { readonly keys: PairTurns; readonly queries: PairTurns } {
  const pairs = headDim / 2;
  const turns = (heads: number, sharedBy: number, sign: 1 | -1): PairTurns => {
    const [cosines, sines] = [new Float64Array(heads * pairs), new Float64Array(heads * pairs)];
    for (let at = 0; at < heads * pairs; at++) {
      const first = Math.floor(at / pairs / sharedBy) * headDim + (at % pairs);
      const factor = scaleOf(sign * steps[first]!);
      const angle = angleOf(steps[first + pairs]!);
      cosines[at] = factor * Math.cos(angle);
      sines[at] = factor * Math.sin(angle);
    }
    return { headDim, cosines, sines };
  };
  const kvHeads = channels / headDim;
  return { keys: turns(kvHeads, 1, 1), queries: turns(kvHeads * shared, shared, -1) };
}

/** Rows [first, first + count) of a projection whose outputs are turned; `read` gives those of the one that is not. */
export function turnedRows(
  read: (first: number, count: number) => Float32Array,
  { headDim, cosines, sines }: PairTurns,
  first: number,
  count: number,
): Float32Array {
  if (count === 0) return read(first, 0);
  const pairs = headDim / 2;
  const firstHead = Math.floor(first / headDim);
  const heads = Math.ceil((first + count) / headDim) - firstHead;
  const rows = read(firstHead * headDim, heads * headDim).slice(); // a row needs the other one of its pair
  const width = rows.length / (heads * headDim);
  for (let at = 0; at < heads * pairs; at++) {
    const cosine = cosines[firstHead * pairs + at]!;
    const sine = sines[firstHead * pairs + at]!;
    const start = (Math.floor(at / pairs) * headDim + (at % pairs)) * width;
    const apart = pairs * width;
    for (let c = start; c < start + width; c++) {
      const [a, b] = [rows[c]!, rows[c + apart]!];
      rows[c] = a * cosine - b * sine;
      rows[c + apart] = a * sine + b * cosine;
    }
  }
  const skipped = (first - firstHead * headDim) * width;
  return rows.subarray(skipped, skipped + count * width);
}
