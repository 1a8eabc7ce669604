/** Row multipliers as sections of every layout hold them (docs/arithmetic.md, section 4). */
import type { QuantizedMatrix } from '../quantize/matrix.js';
import {
  leastExponent,
  ROW_MANTISSA_BITS,
  ROW_MANTISSA_UNIT,
  ROW_SHIFT_LIMIT,
} from '../quantize/row-scale.js';
import type { PackedMatrix } from './kernel-set.js';

/** Bytes of the multipliers of so many rows, those that fill up the last tile included: a uint16 each. */
export const rowScaleBytes = (storedRows: number) => 2 * storedRows;

/** Writes them to `out`, which has rowScaleBytes; words of rows of zeros, and of those beyond the matrix, are 0. */
export function packRowScales(matrix: QuantizedMatrix, out: Uint8Array): void {
  const { name, mantissas, exponents } = matrix;
  const least = leastExponent(matrix);
  const view = new DataView(out.buffer, out.byteOffset, out.byteLength);
  mantissas.forEach((mantissa, row) => {
    if (mantissa === 0) return;
    const shift = exponents[row]! - least;
    if (mantissa % ROW_MANTISSA_UNIT !== 0 || shift > ROW_SHIFT_LIMIT) {
      throw new RangeError(`${name}, row ${row}: ${mantissa} * 2^-${exponents[row]} is no row multiplier`);
    }
    view.setUint16(2 * row, (mantissa / ROW_MANTISSA_UNIT) | (shift << ROW_MANTISSA_BITS), true);
  });
}

/** Reads them back from offset `at` of a section; `least`: what the blob's entry says is the least exponent. */
export function openRowScales(
  section: DataView,
  at: number,
  least: number,
): Pick<PackedMatrix, 'mantissa' | 'exponent'> {
  const word = (row: number) => section.getUint16(at + 2 * row, true);
  return {
    mantissa: (row) => (word(row) % (1 << ROW_MANTISSA_BITS)) * ROW_MANTISSA_UNIT,
    exponent: (row) => (word(row) === 0 ? 0 : least + (word(row) >> ROW_MANTISSA_BITS)),
  };
}
