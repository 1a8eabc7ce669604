/** Quantization by rounding to nearest on the full-range grid. */
import { type FormatName, formats, GROUP, groupsPerRow } from './format.js';
import { allocateMatrix, type QuantizedMatrix } from './matrix.js';
import { dropVanishingRows, setRowScale } from './row-scale.js';

/** Reads rows [first, first + count) of a matrix as float32, row-major. */
export type RowReader = (first: number, count: number) => Float32Array;

export interface MatrixSource {
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
  readonly read: RowReader;
}

/** Rows read at a time: bounds the float copy to a few megabytes. */
const ROWS_AT_A_TIME = 256;

/**
 * Rounds a matrix to a format. groupSize (32, 64 or 128) is how many columns share a sub-scale in grouped formats.
 * The scale of a group is its value of largest magnitude over the end of the grid that has one step more (-2^(b-1)), so its
 * sign is chosen such that this value is met exactly; the other scales follow from the largest magnitude.
 */
export function roundToNearest(source: MatrixSource, format: FormatName, groupSize = GROUP): QuantizedMatrix {
  const matrix = allocateMatrix(source.name, format, source.rows, source.columns);
  const tensorMax = formats[format].perTensor ? largestMagnitude(source) : 0;
  for (let first = 0; first < source.rows; first += ROWS_AT_A_TIME) {
    const count = Math.min(ROWS_AT_A_TIME, source.rows - first);
    const weights = source.read(first, count);
    for (let r = 0; r < count; r++) {
      const row = weights.subarray(r * source.columns, (r + 1) * source.columns);
      if (matrix.subScales !== null) roundGroupedRow(matrix, first + r, row, groupSize);
      else roundPlainRow(matrix, first + r, row, tensorMax);
    }
  }
  dropVanishingRows(matrix);
  return matrix;
}

function largestMagnitude(source: MatrixSource): number {
  let max = 0;
  for (let first = 0; first < source.rows; first += ROWS_AT_A_TIME) {
    for (const w of source.read(first, Math.min(ROWS_AT_A_TIME, source.rows - first)))
      max = Math.max(max, Math.abs(w));
  }
  return max;
}

function roundPlainRow(matrix: QuantizedMatrix, row: number, weights: Float32Array, tensorMax: number): void {
  const { max: top } = formats[matrix.format];
  let max = tensorMax;
  if (max === 0) for (const w of weights) max = Math.max(max, Math.abs(w));
  if (max === 0) return;
  const scale = setRowScale(matrix, row, max / top);
  for (let c = 0; c < weights.length; c++) {
    const q = Math.round(weights[c]! / scale);
    matrix.integers[row * matrix.columns + c] = q > top ? top : q < -top ? -top : q;
  }
}

function roundGroupedRow(
  matrix: QuantizedMatrix,
  row: number,
  weights: Float32Array,
  groupSize: number,
): void {
  const { min, max: top } = formats[matrix.format];
  const groups = groupsPerRow(matrix.columns);
  const scales = new Float64Array(groups);
  const perScale = groupSize / GROUP;
  let largest = 0;
  for (let group = 0; group < groups; group++) {
    const from = Math.floor(group / perScale) * groupSize;
    let extreme = 0;
    for (let c = from; c < Math.min(weights.length, from + groupSize); c++) {
      if (Math.abs(weights[c]!) > Math.abs(extreme)) extreme = weights[c]!;
    }
    scales[group] = extreme / min;
    largest = Math.max(largest, Math.abs(scales[group]!));
  }
  if (largest === 0) return;
  const rowUnit = setRowScale(matrix, row, largest / 127);
  for (let group = 0; group < groups; group++) {
    const k = subScaleOf(scales[group]!, rowUnit);
    matrix.subScales![row * groups + group] = k;
    if (k === 0) continue;
    const scale = k * rowUnit;
    for (let c = group * GROUP; c < Math.min(weights.length, (group + 1) * GROUP); c++) {
      const q = Math.round(weights[c]! / scale);
      matrix.integers[row * matrix.columns + c] = q > top ? top : q < min ? min : q;
    }
  }
}

/** The sub-scale nearest to scale / unit; never 0 for a group that is not all zero. */
export function subScaleOf(scale: number, unit: number): number {
  if (scale === 0) return 0;
  const k = Math.max(-127, Math.min(127, Math.round(scale / unit)));
  return k === 0 ? Math.sign(scale) : k;
}
