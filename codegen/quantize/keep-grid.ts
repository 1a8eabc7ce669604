/** Matrices that come quantized: their integers are kept where a format can hold them. */
import type { WeightGrid } from '../checkpoint/prequantized/weight-grid.js';
import { type FormatName, formats, GROUP, groupsPerRow } from './format.js';
import { allocateMatrix, dequantizeRow, type QuantizedMatrix } from './matrix.js';
import { type RowReader, subScaleOf } from './round-to-nearest.js';
import { dropVanishingRows, setRowScale } from './row-scale.js';

/**
 * The matrix in a format whose stored integers are the codes of the grid, or null where the format cannot hold them:
 * codes out of its range, or groups that are not runs of whole 32 columns (of whole rows in formats without groups).
 * Scales become sub-scales of 8 bits times a row scale, which changes them by 1/254 of the largest of a row at most; scales of rows
 * alone by 2^-11 of themselves at most.
 */
export function keepGrid(name: string, grid: WeightGrid, format: FormatName): QuantizedMatrix | null {
  const { min, max, grouped, perTensor } = formats[format];
  const { rows, columns, codes, groupSize } = grid;
  const regular = groupSize !== null && (groupSize >= columns || (grouped && groupSize % GROUP === 0));
  if (!regular || perTensor || codes.some((code) => code < min || code > max)) return null;
  const matrix = allocateMatrix(name, format, rows, columns);
  matrix.integers.set(codes);
  for (let row = 0; row < rows; row++) {
    const scales = grid.scales.subarray(row * grid.groups, (row + 1) * grid.groups);
    const largest = scales.reduce((most, scale) => Math.max(most, Math.abs(scale)), 0);
    if (largest === 0) {
      matrix.integers.fill(0, row * columns, (row + 1) * columns);
      continue;
    }
    if (matrix.subScales === null) {
      setSignedRow(matrix, row, scales[0]!);
      continue;
    }
    const unit = setRowScale(matrix, row, largest / 127, Math.round);
    const groups = groupsPerRow(columns);
    for (let group = 0; group < groups; group++) {
      matrix.subScales[row * groups + group] = subScaleOf(scales[grid.groupOf[group * GROUP]!]!, unit);
    }
  }
  dropVanishingRows(matrix);
  return matrix;
}

/** Row scales have no sign: a negative one changes that of the integers. */
function setSignedRow(matrix: QuantizedMatrix, row: number, scale: number): void {
  setRowScale(matrix, row, Math.abs(scale), Math.round);
  if (scale > 0) return;
  const { columns, integers } = matrix;
  for (let i = row * columns; i < (row + 1) * columns; i++) integers[i] = -integers[i]!;
}

/** What expressing weights in another format cost: sums over squares, of differences and of the weights. */
export interface ExpressionCost {
  readonly difference: number;
  readonly weight: number;
}

const rowsAtATime = 256;

/** Compares a quantized matrix with the weights it was made from. */
export function expressionCost(matrix: QuantizedMatrix, read: RowReader): ExpressionCost {
  let [difference, weight] = [0, 0];
  const row = new Float32Array(matrix.columns);
  for (let first = 0; first < matrix.rows; first += rowsAtATime) {
    const count = Math.min(rowsAtATime, matrix.rows - first);
    const weights = read(first, count);
    for (let r = 0; r < count; r++) {
      dequantizeRow(matrix, first + r, row);
      for (let c = 0; c < row.length; c++) {
        const expected = weights[r * row.length + c]!;
        difference += (row[c]! - expected) ** 2;
        weight += expected ** 2;
      }
    }
  }
  return { difference, weight };
}

/** Collects what became of matrices that came quantized, and says it. */
export class RequantizationReport {
  private readonly kept: ExpressionCost[] = [];
  private readonly rounded: ExpressionCost[] = [];

  add(matrix: QuantizedMatrix, wasKept: boolean, read: RowReader): void {
    (wasKept ? this.kept : this.rounded).push(expressionCost(matrix, read));
  }

  /** One line, or null where no matrix came quantized. */
  text(): string | null {
    const parts = [
      describe(this.kept, 'keep their integers, with scales re-expressed'),
      describe(this.rounded, 'were rounded again to another grid'),
    ].filter((part) => part !== null);
    return parts.length === 0 ? null : `weights came quantized: ${parts.join('; ')}`;
  }
}

function describe(costs: readonly ExpressionCost[], what: string): string | null {
  if (costs.length === 0) return null;
  const difference = costs.reduce((sum, cost) => sum + cost.difference, 0);
  const weight = costs.reduce((sum, cost) => sum + cost.weight, 0);
  const relative = weight === 0 ? 0 : Math.sqrt(difference / weight);
  return `${costs.length} matrices ${what} (relative error ${(100 * relative).toFixed(3)} %)`;
}
