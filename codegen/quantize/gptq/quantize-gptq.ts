/**
 * GPTQ (Frantar et al., arXiv 2210.17323): columns are rounded one after another, and what rounding a column does to the output
 * is made up for by the columns that are still to come. Columns go by falling diagonal of the Hessian (act-order) with grids
 * fixed before (static groups), so the stored order stays that of the checkpoint.
 */
import type { LinearAlgebra } from '../../calibrate/linear-algebra.js';
import type { NativeLibrary } from '../../calibrate/native/native-library.js';
import { fitRows } from '../fit-grid.js';
import { type FormatName, formats, GROUP, groupsPerRow } from '../format.js';
import { allocateMatrix, type QuantizedMatrix, rowScale } from '../matrix.js';
import type { MatrixSource } from '../round-to-nearest.js';
import { dropVanishingRows } from '../row-scale.js';
import type { Hessian } from './hessian.js';
import { inverseFactor } from './inverse-factor.js';

/** What is added to the diagonal at first, as a share of its mean; doubled until the Hessian can be factored. */
const DAMPING = 0.01;
const MOST_DAMPING = 0.64;
/** Columns whose corrections are applied at once to those that are still to come. */
const BLOCK = 128;
/** Rows that are worked on at a time: bounds their float copies. */
const ROWS_AT_A_TIME = 2048;

/** The order of columns and the factor that says how an error in one is spread over those after it: once a Hessian. */
export interface Sweep {
  /** Column of the matrix at each place. */
  readonly order: Int32Array;
  /** float64[columns x columns], upper triangular, U^T U = H^-1 in that order. */
  readonly factor: Float64Array;
  /** Share of the mean of the Hessian's diagonal that had to be added to it. */
  readonly damping: number;
  /** The diagonal of the Hessian, in the order of the matrix. */
  readonly importance: Float64Array;
}

export interface GptqResult {
  readonly matrix: QuantizedMatrix;
  /** Sum over the calibration inputs of the squared error of the output, damping included. */
  readonly outputError: number;
}

/** Quantizes a matrix so that its output changes least on the inputs that the Hessian of the sweep was made of. */
export function quantizeGptq(
  source: MatrixSource,
  sweep: Sweep,
  format: FormatName,
  groupSize: number,
  algebra: LinearAlgebra,
): GptqResult {
  const { importance } = sweep;
  const matrix = allocateMatrix(source.name, format, source.rows, source.columns);
  const unused = Int32Array.from(importance.keys()).filter((c) => importance[c] === 0);
  let outputError = 0;
  for (let first = 0; first < source.rows; first += ROWS_AT_A_TIME) {
    const count = Math.min(ROWS_AT_A_TIME, source.rows - first);
    const weights = source.read(first, count);
    for (let r = 0; r < count; r++) {
      const row = weights.subarray(r * source.columns, (r + 1) * source.columns);
      for (const c of unused) row[c] = 0; // no reason to widen the grid for them
    }
    fitRows(matrix, first, weights, groupSize, importance, algebra.native);
    outputError += sweepRows(matrix, first, count, weights, sweep, algebra);
  }
  dropVanishingRows(matrix);
  return { matrix, outputError };
}

/**
 * Orders columns by what an error in them costs, damps the Hessian and factors it. Null where it cannot be factored at any
 * damping: then its inputs are broken, and the caller rounds to nearest and says so.
 */
export function planSweep(hessian: Hessian, { native }: Pick<LinearAlgebra, 'native'> = {}): Sweep | null {
  const { columns, sums } = hessian;
  const diagonal = hessian.diagonal();
  const mean = diagonal.reduce((sum, d) => sum + d, 0) / columns;
  if (!Number.isFinite(mean)) return null;
  const order = Int32Array.from(diagonal.keys()).sort((a, b) => diagonal[b]! - diagonal[a]! || a - b);
  for (let damping = DAMPING; damping <= MOST_DAMPING; damping *= 2) {
    const permuted = new Float64Array(columns * columns);
    for (let i = 0; i < columns; i++) {
      const from = order[i]! * columns;
      for (let j = i; j < columns; j++) permuted[i * columns + j] = sums[from + order[j]!]!;
      // A column that is never used costs nothing, and must not make the factor singular.
      const own = diagonal[order[i]!]!;
      permuted[i * columns + i] = own === 0 ? Math.max(mean, 1) : own + damping * mean;
    }
    const factor = inverseFactor(permuted, columns, native);
    if (factor !== null) return { order, factor, damping, importance: diagonal };
  }
  return null;
}

/** Rounds rows [first, first + count) of the matrix, given as float32[count x columns]; returns their output error. */
function sweepRows(
  matrix: QuantizedMatrix,
  first: number,
  count: number,
  weights: Float32Array,
  sweep: Sweep,
  algebra: LinearAlgebra,
): number {
  const { columns } = matrix;
  const { order } = sweep;
  const { native } = algebra;
  const left = new Float32Array(count * columns); // what is still to be stored, in the order of the sweep
  for (let r = 0; r < count; r++) {
    for (let i = 0; i < columns; i++) left[r * columns + i] = weights[r * columns + order[i]!]!;
  }
  let outputError = 0;
  for (let begin = 0; begin < columns; begin += BLOCK) {
    const width = Math.min(BLOCK, columns - begin);
    const errors = new Float32Array(count * width);
    const block = { count, columns, begin, width, left, errors };
    const isSpread = native !== undefined && sweepNatively(matrix, first, sweep, block, native);
    if (native === undefined) sweepInTurn(matrix, first, sweep, block);
    for (const e of errors) outputError += e * e;
    if (!isSpread) spread(block, sweep.factor, algebra);
  }
  return outputError;
}

/** Columns [begin, begin + width) of `count` rows. */
interface Block {
  readonly count: number;
  readonly columns: number;
  readonly begin: number;
  readonly width: number;
  /** float32[count x columns]: what is still to be stored, in the order of the sweep. */
  readonly left: Float32Array;
  /** float32[count x width]: errors, over the pivot. */
  readonly errors: Float32Array;
}

/** Rounds the columns of a block of one row; each error, over the pivot, goes to the columns after it and into `errors`. */
function sweepBlock(
  matrix: QuantizedMatrix,
  row: number,
  own: Float32Array,
  order: Int32Array,
  factor: Float64Array,
  begin: number,
  errors: Float32Array,
): void {
  const { min, max } = formats[matrix.format];
  const { columns, subScales, integers } = matrix;
  const unit = rowScale(matrix, row);
  const scales = row * groupsPerRow(columns);
  for (let i = 0; i < own.length; i++) {
    const column = order[i]!;
    const scale = subScales === null ? unit : unit * subScales[scales + Math.floor(column / GROUP)]!;
    const w = own[i]!;
    let q = scale === 0 ? 0 : Math.round(w / scale);
    q = q > max ? max : q < min ? min : q;
    integers[row * columns + column] = q;
    const at = (begin + i) * columns + begin;
    const error = (w - q * scale) / factor[at + i]!;
    errors[i] = error;
    for (let j = i + 1; j < own.length; j++) own[j] = own[j]! - error * factor[at + j]!;
  }
}

/** sweepBlock for all rows. */
function sweepInTurn(
  matrix: QuantizedMatrix,
  first: number,
  { order, factor }: Sweep,
  { count, columns, begin, width, left, errors }: Block,
): void {
  for (let r = 0; r < count; r++) {
    const own = left.subarray(r * columns + begin, r * columns + begin + width);
    const errorsOfRow = errors.subarray(r * width, (r + 1) * width);
    sweepBlock(matrix, first + r, own, order.subarray(begin), factor, begin, errorsOfRow);
  }
}

/** sweepBlock for all rows, and spread; false where there was no memory for the latter. */
function sweepNatively(
  matrix: QuantizedMatrix,
  first: number,
  { order, factor }: Sweep,
  { count, columns, begin, width, left, errors }: Block,
  native: NativeLibrary,
): boolean {
  const { min, max } = formats[matrix.format];
  const groups = groupsPerRow(columns);
  return native.sweep({
    ...{ rows: count, columns, begin, width, min, max, left, errors, order, factor },
    integers: matrix.integers.subarray(first * columns, (first + count) * columns) as Int8Array, // at most 8 bits
    units: Float64Array.from({ length: count }, (_, r) => rowScale(matrix, first + r)),
    scales: matrix.subScales?.subarray(first * groups, (first + count) * groups) ?? null,
  });
}

/** Takes the errors of a block, times its rows of the factor, from all columns after it. */
function spread(
  { count, columns, begin, width, left, errors }: Block,
  factor: Float64Array,
  algebra: LinearAlgebra,
): void {
  const after = begin + width;
  const rest = columns - after;
  if (rest === 0) return;
  const rows = new Float32Array(rest * width); // the factor's, transposed
  for (let i = 0; i < width; i++) {
    for (let c = 0; c < rest; c++) rows[c * width + i] = factor[(begin + i) * columns + after + c]!;
  }
  const corrections = new Float32Array(count * rest);
  algebra.matmul(corrections, errors, rows, count, rest, width);
  for (let r = 0; r < count; r++) {
    const at = r * columns + after;
    for (let c = 0; c < rest; c++) left[at + c] = left[at + c]! - corrections[r * rest + c]!;
  }
}
