/**
 * Fixed-point primitives of docs/arithmetic.md, section 1: the readable reference that every kernel equals bit for bit.
 *
 * Values are int32 in a Q format: Q(f) means the integer v stands for v * 2^-f. Saturation is symmetric, to +-(2^31 - 1), so
 * that the magnitude of any value is itself an int32. Rounding is half up: add half, then shift arithmetically.
 */

export const INT32_MAX = 0x7fffffff;

/** Saturates an exact integer to [-(2^31 - 1), 2^31 - 1]. */
export function saturate(value: number): number {
  return value > INT32_MAX ? INT32_MAX : value < -INT32_MAX ? -INT32_MAX : value;
}

/** Bits needed to write a non-negative integer below 2^53: 0 for 0, 1 for 1, 31 for 2^31 - 1. */
export function bitLength(value: number): number {
  return value < 0x80000000 ? 32 - Math.clz32(value) : 32 + bitLength(Math.floor(value / 0x100000000));
}

/** Bits needed to write a non-negative BigInt. */
export function bitLengthBig(value: bigint): number {
  return value === 0n ? 0 : value.toString(2).length;
}

/** 2^i for i = 0..1023: the operator ** takes longer than everything around it. */
const powersOfTwo = Float64Array.from({ length: 1024 }, (_, i) => 2 ** i);

/** floor((value + 2^(shift-1)) / 2^shift) for shift > 0, value * 2^-shift for shift <= 0. Exact below 2^52. */
export function roundShift(value: number, shift: number): number {
  if (shift <= 0) return value * powersOfTwo[-shift]!;
  return Math.floor((value + powersOfTwo[shift - 1]!) / powersOfTwo[shift]!);
}

/**
 * `em_scale`: saturate((a * m + 2^(s-1)) >> s) with the product in 64 bits; s is clamped to [0, 63] first.
 * a and m are int32 of magnitude at most 2^31 - 1. The one multiplication from which requantization, norms and softmax are made.
 */
export function scale(a: number, m: number, s: number): number {
  const shift = s < 0 ? 0 : s > 63 ? 63 : s;
  const product = a * m;
  if (shift <= 52 && product <= 2 ** 52 && product >= -(2 ** 52)) {
    return saturate(roundShift(product, shift) + 0);
  }
  // Above 2^52 a double no longer holds the product: split m at bit 16. Below shift 17 such a product saturates anyway.
  if (shift < 17) return saturate(product);
  const high = Math.floor(m / 65536);
  const upper = a * high + Math.floor((a * (m - high * 65536)) / 65536);
  return saturate(roundShift(upper, shift - 16) + 0);
}

/** A positive real number as mantissa * 2^-exponent with the mantissa in [2^30, 2^31). */
export interface Multiplier {
  readonly mantissa: number;
  readonly exponent: number;
}

/** The nearest multiplier of a positive real; zero becomes mantissa 0, exponent 0. */
export function multiplierOf(real: number): Multiplier {
  if (real === 0) return { mantissa: 0, exponent: 0 };
  let exponent = 30 - Math.floor(Math.log2(real));
  let mantissa = Math.round(real * 2 ** exponent);
  while (mantissa >= 2 ** 31) mantissa = Math.round(real * 2 ** --exponent);
  while (mantissa < 2 ** 30) mantissa = Math.round(real * 2 ** ++exponent);
  return { mantissa, exponent };
}

/** The largest magnitude of an int32 vector, or of count values from offset. */
export function maxMagnitude(values: Int32Array, offset = 0, count = values.length): number {
  let max = 0;
  for (let i = offset; i < offset + count; i++) {
    const magnitude = Math.abs(values[i]!);
    if (magnitude > max) max = magnitude;
  }
  return max;
}
