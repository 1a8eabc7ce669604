/** The scales of rows as stored multipliers hold them: 11 bits of mantissa, and exponents that differ by no more than 5 bits say. */
import { type Multiplier, multiplierOf } from '../arithmetic/fixed.js';
import { EmbedError } from '../diagnostics/error.js';
import { ACTIVATION_MAX, groupsPerRow } from './format.js';
import { type QuantizedMatrix, rowScale } from './matrix.js';

/** Bits of a mantissa that are stored; those of its exponent fill up two bytes. EM_ROW_MANTISSA_BITS in C. */
export const ROW_MANTISSA_BITS = 11;
/** Mantissas of row multipliers are multiples of this in [2^30, 2^31). */
export const ROW_MANTISSA_UNIT = 2 ** (31 - ROW_MANTISSA_BITS);
/** Exponents of a matrix differ by this at most. */
export const ROW_SHIFT_LIMIT = 2 ** (16 - ROW_MANTISSA_BITS) - 1;

/** The multiplier of a row for a real number, its mantissa rounded to stored bits: to nearest, unless told otherwise. */
export function rowMultiplierOf(real: number, round: (units: number) => number = Math.round): Multiplier {
  const { mantissa, exponent } = multiplierOf(real);
  const units = round(mantissa / ROW_MANTISSA_UNIT);
  return units * ROW_MANTISSA_UNIT < 2 ** 31
    ? { mantissa: units * ROW_MANTISSA_UNIT, exponent }
    : { mantissa: 2 ** 30, exponent: exponent - 1 };
}

/**
 * Stores the scale of a row, rounded up unless told otherwise: then no weight passes the end of the grid. Returns the scale that
 * the stored multiplier stands for; weights are rounded against that. Throws EM2002 for one that a multiplier cannot hold.
 */
export function setRowScale(
  matrix: QuantizedMatrix,
  row: number,
  scale: number,
  round: (units: number) => number = Math.ceil,
): number {
  const { mantissa, exponent } = rowMultiplierOf(scale / ACTIVATION_MAX, round);
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

/** The least exponent of rows that are not zero, from which the others are counted; 0 where all are. */
export function leastExponent({ mantissas, exponents }: QuantizedMatrix): number {
  const used = exponents.filter((_, row) => mantissas[row] !== 0);
  return used.length === 0 ? 0 : used.reduce((least, exponent) => Math.min(least, exponent));
}

/**
 * Makes rows of zeros of those whose exponent is too far from the least one, which is what they are next to the others. Once all
 * rows have their scales. One step stays free, for scales that a factor of an op carries over a power of two.
 */
export function dropVanishingRows(matrix: QuantizedMatrix): void {
  const { rows, columns, integers, subScales, mantissas, exponents } = matrix;
  const least = leastExponent(matrix);
  const groups = groupsPerRow(columns);
  for (let row = 0; row < rows; row++) {
    if (exponents[row]! - least < ROW_SHIFT_LIMIT) continue;
    integers.fill(0, row * columns, (row + 1) * columns);
    subScales?.fill(0, row * groups, (row + 1) * groups);
    mantissas[row] = 0;
    exponents[row] = 0;
  }
}
