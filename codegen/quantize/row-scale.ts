/** The scale of a row as the stored multiplier holds it. */
import { multiplierOf } from '../arithmetic/fixed.js';
import { EmbedError } from '../diagnostics/error.js';
import { ACTIVATION_MAX } from './format.js';
import { type QuantizedMatrix, rowScale } from './matrix.js';

/**
 * Stores the scale of a row and returns it as the stored multiplier says it: weights are rounded against that. Throws EM2002 for
 * a scale that a multiplier cannot hold.
 */
export function setRowScale(matrix: QuantizedMatrix, row: number, scale: number): number {
  const { mantissa, exponent } = multiplierOf(scale / ACTIVATION_MAX);
  if (exponent < 0 || exponent > 255) {
    throw new EmbedError('EM2002', {
      where: `${matrix.name}, row ${row}`,
      why: `its scale ${scale.toExponential(3)} is outside what a row multiplier can hold (2^-225 to 2^30)`,
    });
  }
  matrix.mantissas[row] = mantissa;
  matrix.exponents[row] = exponent;
  return rowScale(matrix, row);
}
