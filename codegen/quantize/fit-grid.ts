/** Chooses the grid of a row, its scale and sub-scales, by the error that rounding to it would make. */
import type { NativeLibrary } from '../calibrate/native/native-library.js';
import { formats, GROUP, groupsPerRow } from './format.js';
import type { QuantizedMatrix } from './matrix.js';
import { setRowScale } from './row-scale.js';

/** Steps of a group's scale below what its largest value asks for: clipping one value may serve the others. */
const SHRINKS = Array.from({ length: 13 }, (_, i) => 1 - 0.025 * i);

/**
 * Stores the scale and the sub-scales of a row. Of the sub-scales that put the largest value of a group at an end of the grid or
 * up to 30 % beyond it, each group takes the one with the least sum of importance[c] * (w - rounded w)^2; importance has one
 * value a column, the same for all rows (the diagonal of the Hessian), or is null for ones. Formats without groups take the
 * largest magnitude for the end of their grid.
 */
export function fitGrid(
  matrix: QuantizedMatrix,
  row: number,
  weights: Float32Array,
  groupSize: number,
  importance: Float64Array | null,
): void {
  const { min, max, grouped } = formats[matrix.format];
  const largest = largestMagnitude(weights);
  if (largest === 0) return;
  if (!grouped) {
    setRowScale(matrix, row, largest / max);
    return;
  }
  const unit = setRowScale(matrix, row, largest / -min / 127);
  for (let first = 0; first < weights.length; first += groupSize) {
    const end = Math.min(weights.length, first + groupSize);
    const k = fitSubScale(weights, first, end, unit, min, max, importance);
    storeSubScale(matrix, row, first, groupSize, k);
  }
}

/** fitGrid for rows [first, ...) of the matrix, given as float32[rows x columns]. */
export function fitRows(
  matrix: QuantizedMatrix,
  first: number,
  weights: Float32Array,
  groupSize: number,
  importance: Float64Array | null,
  native?: NativeLibrary,
): void {
  const { columns } = matrix;
  const { min, max, grouped } = formats[matrix.format];
  const rows = weights.length / columns;
  const rowAt = (r: number) => weights.subarray(r * columns, (r + 1) * columns);
  if (!grouped || native === undefined) {
    for (let r = 0; r < rows; r++) fitGrid(matrix, first + r, rowAt(r), groupSize, importance);
    return;
  }
  const units = Float64Array.from({ length: rows }, (_, r) => {
    const largest = largestMagnitude(rowAt(r));
    return largest === 0 ? 0 : setRowScale(matrix, first + r, largest / -min / 127);
  });
  const scales = native.fitGroups({ rows, columns, group: groupSize, min, max, weights, units, importance });
  const groups = Math.ceil(columns / groupSize);
  for (const [at, k] of scales.entries()) {
    const row = first + Math.floor(at / groups);
    storeSubScale(matrix, row, (at % groups) * groupSize, groupSize, k);
  }
}

function largestMagnitude(weights: Float32Array): number {
  let largest = 0;
  for (const w of weights) largest = Math.max(largest, Math.abs(w));
  return largest;
}

/** Stores the sub-scale of the columns of a group, of which `first` is the first. */
function storeSubScale(
  matrix: QuantizedMatrix,
  row: number,
  first: number,
  groupSize: number,
  k: number,
): void {
  const groups = groupsPerRow(matrix.columns);
  const from = row * groups + first / GROUP;
  matrix.subScales!.fill(k, from, Math.min(from + groupSize / GROUP, (row + 1) * groups));
}

/** The sub-scale of columns [first, end) with the least error; 0 where all of them are 0. */
function fitSubScale(
  weights: Float32Array,
  first: number,
  end: number,
  unit: number,
  min: number,
  max: number,
  importance: Float64Array | null,
): number {
  let extreme = 0;
  for (let c = first; c < end; c++) {
    if (Math.abs(weights[c]!) > Math.abs(extreme)) extreme = weights[c]!;
  }
  if (extreme === 0) return 0;
  let best = 0;
  let least = Number.POSITIVE_INFINITY;
  let last = 0;
  for (const sign of [1, -1]) {
    for (const shrink of SHRINKS) {
      const wanted = Math.round((sign * extreme * shrink) / (min * unit));
      const k = wanted === 0 ? Math.sign(sign * -extreme) : Math.max(-127, Math.min(127, wanted));
      if (k === last) continue;
      last = k;
      const error = roundingError(weights, first, end, k * unit, min, max, importance);
      if (error < least) {
        least = error;
        best = k;
      }
    }
  }
  return best;
}

function roundingError(
  weights: Float32Array,
  first: number,
  end: number,
  scale: number,
  min: number,
  max: number,
  importance: Float64Array | null,
): number {
  let sum = 0;
  for (let c = first; c < end; c++) {
    const w = weights[c]!;
    const q = Math.round(w / scale);
    const error = w - scale * (q > max ? max : q < min ? min : q);
    sum += (importance === null ? 1 : importance[c]!) * error * error;
  }
  return sum;
}
