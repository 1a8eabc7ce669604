/** Groups of weights rounded in float, with scales and offsets that are exact: what a grid could do at best, whatever stores it. */

export interface SimulatedGrid {
  readonly bits: number;
  /** Whether the grid of a group may lie anywhere; else it has 0 in it, and one step more on the side that the scale's sign chooses. */
  readonly asymmetric: boolean;
}

export const GROUP = 32;
/** Shares of the range that are tried: clipping one value may serve the others. */
const SHRINKS = Array.from({ length: 13 }, (_, i) => 1 - 0.025 * i);

/** float32[rows x columns] rounded group by group, each on the grid with the least squared error. */
export function simulateGroups(weights: Float32Array, columns: number, grid: SimulatedGrid): Float32Array {
  const out = new Float32Array(weights.length);
  for (let row = 0; row < weights.length; row += columns) {
    for (let first = 0; first < columns; first += GROUP) {
      const end = row + Math.min(columns, first + GROUP);
      out.set(roundGroup(weights.subarray(row + first, end), grid), row + first);
    }
  }
  return out;
}

function roundGroup(group: Float32Array, { bits, asymmetric }: SimulatedGrid): Float32Array {
  let best = group.map(() => 0);
  let least = squaredError(group, best);
  for (const { scale, offset, min, max } of asymmetric ? anywhere(group, bits) : aroundZero(group, bits)) {
    if (scale === 0) continue;
    const rounded = group.map((w) => {
      const q = Math.round((w - offset) / scale);
      return offset + scale * Math.max(min, Math.min(max, q));
    });
    const error = squaredError(group, rounded);
    if (error >= least) continue;
    least = error;
    best = rounded;
  }
  return best;
}

function* aroundZero(group: Float32Array, bits: number) {
  const extreme = group.reduce((most, w) => (Math.abs(w) > Math.abs(most) ? w : most), 0);
  const min = -(2 ** (bits - 1));
  for (const shrink of SHRINKS) {
    for (const sign of [1, -1])
      yield { scale: (sign * extreme * shrink) / min, offset: 0, min, max: -min - 1 };
  }
}

function* anywhere(group: Float32Array, bits: number) {
  const low = Math.min(...group);
  const high = Math.max(...group);
  const max = 2 ** bits - 1;
  for (const shrink of SHRINKS) {
    for (const part of [0, 0.5, 1]) {
      // What is cut off lies below, on both sides or above.
      const offset = low + part * (1 - shrink) * (high - low);
      yield { scale: (shrink * (high - low)) / max, offset, min: 0, max };
    }
  }
}

const squaredError = (group: Float32Array, rounded: Float32Array) =>
  group.reduce((sum, w, i) => sum + (w - rounded[i]!) ** 2, 0);
