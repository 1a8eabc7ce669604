import { type FormatName, formats } from '../../../codegen/quantize/format.js';
import { allocateMatrix, type QuantizedMatrix } from '../../../codegen/quantize/matrix.js';
import { ROW_MANTISSA_UNIT, ROW_SHIFT_LIMIT } from '../../../codegen/quantize/row-scale.js';
import type { Vectors } from '../arithmetic/vectors.js';

export interface RandomMatrix {
  readonly format: FormatName;
  readonly rows: number;
  readonly columns: number;
  /** Every integer and sub-scale at an end of its range. */
  readonly extreme?: boolean;
  /** Range of the row exponents; of one that is wider than words of rows can say, a part that is drawn. */
  readonly exponents?: readonly [low: number, high: number];
}

/** A quantized matrix whose numbers are drawn, not computed from weights: any that a section can hold. Row 3 is all zero. */
export function randomMatrix(vectors: Vectors, shape: RandomMatrix): QuantizedMatrix {
  const { format, rows, columns, extreme = false, exponents = [20, 60] } = shape;
  const { min, max } = formats[format];
  const least = vectors.between(exponents[0], Math.max(exponents[0], exponents[1] - ROW_SHIFT_LIMIT));
  const matrix = allocateMatrix('m', format, rows, columns);
  const draw = (low: number, high: number) => {
    if (!extreme) return vectors.between(low, high);
    return vectors.between(0, 1) === 0 ? low : high;
  };
  matrix.integers.forEach((_, i) => {
    matrix.integers[i] = draw(min, max);
  });
  matrix.subScales?.forEach((_, i) => {
    matrix.subScales![i] = draw(-127, 127);
  });
  for (let row = 0; row < rows; row++) {
    if (row === 3) {
      matrix.integers.fill(0, row * columns, (row + 1) * columns);
      continue;
    }
    matrix.mantissas[row] = vectors.between(2 ** 10, 2 ** 11 - 1) * ROW_MANTISSA_UNIT;
    matrix.exponents[row] = vectors.between(least, Math.min(exponents[1], least + ROW_SHIFT_LIMIT));
  }
  return matrix;
}
