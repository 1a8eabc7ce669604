/** The constant tables of docs/arithmetic.md, section 2. templates/kernels/em_tables.h carries the same numbers; a test compares them. */

/**
 * Seeds of 1/sqrt(m) in Q15 for m in [1/4, 1): entry i covers [(i + 32) / 128, (i + 33) / 128), taken at its middle.
 * uint16[96].
 */
export const rsqrtSeeds: Uint16Array = Uint16Array.from({ length: 96 }, (_, i) =>
  Math.round(2 ** 15 * Math.sqrt(256 / (2 * (i + 32) + 1))),
);

/** sigmoid(-i / 32) in Q24 for i in 0..512. int32[513]. Linear interpolation between entries errs by at most 1.3e-5. */
export const sigmoidTable: Int32Array = Int32Array.from({ length: 513 }, (_, i) =>
  Math.round(2 ** 24 / (1 + Math.exp(i / 32))),
);

/**
 * 2^-g for g in [0, 1) as c0 - g (c1 - g (c2 - g c3)), coefficients and g in Q15 with rounding products.
 * Fitted to the smallest relative error of this integer evaluation over all 32768 arguments: 1.5e-4.
 */
export const exp2Coefficients = { c0: 32767, c1: 22640, c2: 7514, c3: 1257 } as const;

/** Bits after the point of the cosines and sines of the rope table. */
export const ROPE_FRACTION = 14;
