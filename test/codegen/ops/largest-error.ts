/** Integers of an op against what they should be. */

/** What integers in a Q format stand for. */
export const real = (values: Int32Array, frac: number) => Float64Array.from(values, (v) => v * 2 ** -frac);

/** Largest difference between integers in a Q format and what they should be, in multiples of `unit`. */
export function largestError(found: Int32Array, frac: number, expected: Float64Array, unit: number): number {
  return (
    expected.reduce((max, value, i) => Math.max(max, Math.abs(found[i]! * 2 ** -frac - value)), 0) / unit
  );
}
