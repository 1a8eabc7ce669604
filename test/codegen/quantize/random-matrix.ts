import { type FormatName, formats } from '../../../codegen/quantize/format.js';
import { allocateMatrix, type QuantizedMatrix } from '../../../codegen/quantize/matrix.js';
import type { Vectors } from '../arithmetic/vectors.js';

export interface RandomMatrix {
  readonly format: FormatName;
  readonly rows: number;
  readonly columns: number;
  /** Every integer and sub-scale at an end of its range. */
  readonly extreme?: boolean;
  /** Range of the row exponents. */
  readonly exponents?: readonly [low: number, high: number];
}

/** A quantized matrix whose numbers are drawn, not computed from weights: any that a section can hold. Row 3 is all zero. */
export function randomMatrix(vectors: Vectors, shape: RandomMatrix): QuantizedMatrix {
  const { format, rows, columns, extreme = false, exponents = [20, 60] } = shape;
  const { min, max } = formats[format];
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
    matrix.mantissas[row] = vectors.between(2 ** 30, 2 ** 31 - 1);
    matrix.exponents[row] = vectors.between(...exponents);
  }
  return matrix;
}
