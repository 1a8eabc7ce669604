/** The non-linear functions of docs/arithmetic.md, section 2, on integers. */
import { saturate } from './fixed.js';
import { exp2Coefficients, geluTables, rsqrtSeeds, sigmoidTable } from './tables.js';

/** Rounding product of two Q15 numbers of magnitude at most 2^15: what pmulhrsw and sqrdmulh compute. */
function multiplyQ15(a: number, b: number): number {
  return (a * b + 16384) >> 15;
}

/**
 * 1 / sqrt(total) as mantissa * 2^-(61 - k) for a positive total below 2^62: mantissa in [2^30, 2^31), Q30, of
 * 1/sqrt(total * 2^(2k - 62)), where 2k shifts total into [2^60, 2^62). Seed table and two Newton steps: relative error < 2e-8.
 */
export function reciprocalSqrt(total: bigint): { mantissa: number; k: number } {
  let k = 0;
  let normal = total;
  while (normal < 1n << 60n) {
    normal <<= 2n;
    k++;
  }
  const m = normal >> 31n; // Q31 of [1/4, 1)
  let y = BigInt(rsqrtSeeds[Number(normal >> 55n) - 32]!) << 15n; // Q30
  for (let step = 0; step < 2; step++) {
    const square = (y * y) >> 31n; // Q29
    const product = (m * square) >> 31n; // Q29, about 1
    y = (y * (3n * (1n << 29n) - product)) >> 30n;
  }
  const max = (1n << 31n) - 1n;
  return { mantissa: Number(y > max ? max : y), k };
}

/** 2^-(x / 65536) in Q30 for x >= 0 in Q16; 0 from 31 on. */
export function exp2Negative(x: number): number {
  const whole = Math.floor(x / 65536);
  if (whole >= 31) return 0;
  const g = (x % 65536) >> 1; // Q15
  const { c0, c1, c2, c3 } = exp2Coefficients;
  const p = c0 - multiplyQ15(g, c1 - multiplyQ15(g, c2 - multiplyQ15(g, c3)));
  return (p * 32768) >>> whole;
}

/** sigmoid of value in Q(frac), as Q24 in (0, 2^24): table of |value| in Q15 below 16, linear between entries. */
export function sigmoid(value: number, frac: number): number {
  const magnitude = Math.abs(value);
  const wide = frac >= 15 ? Math.floor(magnitude / 2 ** (frac - 15)) : magnitude * 2 ** (15 - frac);
  const x = Math.min(wide, 16 * 32768 - 1);
  const i = x >> 10;
  const step = sigmoidTable[i]! - sigmoidTable[i + 1]!;
  const tail = sigmoidTable[i]! - ((step * (x & 1023) + 512) >> 10);
  return value < 0 ? tail : 0x1000000 - tail;
}

/** The gate of GELU at value in Q(frac), as Q24 in [0, 2^24]: table of |value| in Q15 below 8, linear between entries. */
export function geluGate(value: number, frac: number, form: 'erf' | 'tanh'): number {
  const table = geluTables[form];
  const magnitude = Math.abs(value);
  const wide = frac >= 15 ? Math.floor(magnitude / 2 ** (frac - 15)) : magnitude * 2 ** (15 - frac);
  const x = Math.min(wide, 8 * 32768 - 1);
  const i = x >> 9;
  const step = table[i]! - table[i + 1]!;
  const tail = table[i]! - ((step * (x & 511) + 256) >> 9);
  return value < 0 ? tail : 0x1000000 - tail;
}

/** One rotation of rope: (a cos - b sin, a sin + b cos), cos and sin in Q14. */
export function rotate(a: number, b: number, cos: number, sin: number): [number, number] {
  return [
    saturate(Math.floor((a * cos - b * sin + 8192) / 16384)),
    saturate(Math.floor((a * sin + b * cos + 8192) / 16384)),
  ];
}
