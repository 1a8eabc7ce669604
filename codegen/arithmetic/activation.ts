/** Quantization of an int32 vector to int8 with one scale, in integers only (docs/arithmetic.md, section 3). */
import { bitLength, maxMagnitude, roundShift } from './fixed.js';

/** The scale of one quantized vector: real = q * mantissa * 2^(shift - 15) / 127, in units of the input's Q format. */
export interface TokenScale {
  /** Largest magnitude, rounded to 15 bits, times 2^15: in [2^29, 2^30]; 2^29 for a zero vector. */
  readonly mantissa: number;
  /** Power of two taken out of the vector: bit length of its largest magnitude minus 15. */
  readonly shift: number;
}

/**
 * q[i] = round(127 * v[i] / max|v|), in [-127, 127], from count values at offset of `values` into `out` at outOffset.
 * A zero vector gives zeros.
 */
export function quantizeVector(
  values: Int32Array,
  offset: number,
  count: number,
  out: Int8Array,
  outOffset: number,
): TokenScale {
  const max = maxMagnitude(values, offset, count);
  if (max === 0) {
    out.fill(0, outOffset, outOffset + count);
    return { mantissa: 2 ** 29, shift: 0 };
  }
  return quantizeClamped(values, offset, count, max, out, outOffset);
}

/** The same with a largest magnitude in [1, 2^31 - 1] that is given: values beyond it count as it. */
export function quantizeClamped(
  values: Int32Array,
  offset: number,
  count: number,
  largest: number,
  out: Int8Array,
  outOffset: number,
): TokenScale {
  const shift = bitLength(largest) - 15;
  const max15 = roundShift(largest, shift); // in [2^14, 2^15]
  const reciprocal = Math.floor((127 * 2 ** 23) / max15); // at most 127 * 2^9
  for (let i = 0; i < count; i++) {
    const v = roundShift(Math.max(-largest, Math.min(largest, values[offset + i]!)), shift);
    out[outOffset + i] = (v * reciprocal + 0x400000) >> 23;
  }
  return { mantissa: max15 * 32768, shift };
}
