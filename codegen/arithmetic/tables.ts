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
 * The gates of GELU, by which a value is multiplied: the normal distribution function, or its approximation
 * 1 / (1 + e^(-2 sqrt(2/pi) (x + 0.044715 x^3))), which is (1 + tanh(...)) / 2.
 */
export function exactGeluGate(x: number, form: 'erf' | 'tanh'): number {
  if (form === 'erf') return normalDistribution(x);
  return 1 / (1 + Math.exp(-2 * Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
}

/**
 * Integral of the normal density up to x, to 1e-15: a series about 0 (Abramowitz and Stegun 1964, 26.2.11), a continued fraction
 * from 3 on (26.2.14).
 */
function normalDistribution(x: number): number {
  const a = Math.abs(x);
  const density = Math.exp((-a * a) / 2) / Math.sqrt(2 * Math.PI);
  let tail: number;
  if (a < 3) {
    let sum = a;
    for (let term = a, n = 3; term > 1e-17; n += 2) {
      term *= (a * a) / n;
      sum += term;
    }
    tail = 0.5 - density * sum;
  } else {
    let fraction = a;
    for (let n = 60; n > 0; n--) fraction = a + n / fraction;
    tail = density / fraction;
  }
  return x < 0 ? tail : 1 - tail;
}

const geluTable = (form: 'erf' | 'tanh') =>
  Int32Array.from({ length: 513 }, (_, i) => Math.round(2 ** 24 * exactGeluGate(-i / 64, form)));

/** Gates of GELU at -i / 64 in Q24 for i in 0..512. int32[513] each. Linear interpolation errs by at most 7.5e-6. */
export const geluTables: Readonly<Record<'erf' | 'tanh', Int32Array>> = {
  erf: geluTable('erf'),
  tanh: geluTable('tanh'),
};

/**
 * 2^-g for g in [0, 1) as c0 - g (c1 - g (c2 - g c3)), coefficients and g in Q15 with rounding products.
 * Fitted to the smallest relative error of this integer evaluation over all 32768 arguments: 1.5e-4.
 */
export const exp2Coefficients = { c0: 32767, c1: 22640, c2: 7514, c3: 1257 } as const;

/** Bits after the point of the cosines and sines of the rope table. */
export const ROPE_FRACTION = 14;
