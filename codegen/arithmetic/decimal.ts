/** Decimals of the command line as fixed-point numbers, without floating point: what parse_q16 of the runner reads. */

/**
 * A decimal such as 0.8 as the nearest multiple of 2^-16, half up, in units of 2^-16. At most 14 digits after the
 * point.
 * @param high largest value allowed, in whole units
 * @returns null where the text is no such decimal in [0, high]
 */
export function decimalToQ16(text: string, high: number): number | null {
  const match = /^(\d*)(?:\.(\d{0,14}))?$/.exec(text);
  const whole = match?.[1] ?? '';
  const decimals = match?.[2] ?? '';
  if (match === null || whole + decimals === '') return null;
  const unit = 10n ** BigInt(decimals.length);
  const value = BigInt(whole + decimals); // in units of 1 / unit
  if (value > BigInt(high) * unit) return null;
  return Number((value * 0x20000n + unit) / (2n * unit));
}
