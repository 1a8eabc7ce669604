/**
 * The weight formats: one definition for quantizer, packers, emitted C and docs/arithmetic.md (section 4).
 *
 * A weight is q * k * S: q the stored integer, k the signed 8-bit sub-scale of its group of 32 columns (1 in formats without
 * groups), S the scale of its row, kept as a multiplier S/127 = mantissa * 2^-exponent.
 */

/** Columns that share a sub-scale. Larger group sizes are stored as equal sub-scales. */
export const GROUP = 32;

/** Magnitude that quantized activations never exceed; -128 is not used, so that |a| is an int8 too. */
export const ACTIVATION_MAX = 127;

export type FormatName = 'w4' | 'w5' | 'w6' | 'w8' | 'w8t' | 'w16';

export interface Format {
  readonly name: FormatName;
  /** Its number in blob entries and in the emitted C. Never reused. */
  readonly code: number;
  /** Bits a stored integer takes. */
  readonly bits: number;
  readonly min: number;
  readonly max: number;
  /** Whether groups of 32 columns have sub-scales. */
  readonly grouped: boolean;
  /** Whether one scale serves the whole matrix. */
  readonly perTensor: boolean;
  /** Products with an int8 activation that fit an int16 lane when subtraction of the offset is folded into its start. */
  readonly productsPerInt16: number;
  readonly description: string;
}

const grouped = { grouped: true, perTensor: false } as const;
const perRow = { grouped: false, perTensor: false } as const;

export const formats: Readonly<Record<FormatName, Format>> = {
  w4: {
    name: 'w4',
    code: 1,
    bits: 4,
    min: -8,
    max: 7,
    ...grouped,
    productsPerInt16: 32,
    description: '4 bits, sub-scale per 32 columns',
  },
  w5: {
    name: 'w5',
    code: 2,
    bits: 5,
    min: -16,
    max: 15,
    ...grouped,
    productsPerInt16: 16,
    description: '5 bits, sub-scale per 32 columns',
  },
  w6: {
    name: 'w6',
    code: 3,
    bits: 6,
    min: -32,
    max: 31,
    ...grouped,
    productsPerInt16: 8,
    description: '6 bits, sub-scale per 32 columns',
  },
  w8: {
    name: 'w8',
    code: 4,
    bits: 8,
    min: -127,
    max: 127,
    ...perRow,
    productsPerInt16: 2,
    description: '8 bits, scale per row',
  },
  w8t: {
    name: 'w8t',
    code: 5,
    bits: 8,
    min: -127,
    max: 127,
    grouped: false,
    perTensor: true,
    productsPerInt16: 2,
    description: '8 bits, one scale for the matrix',
  },
  w16: {
    name: 'w16',
    code: 6,
    bits: 16,
    min: -32767,
    max: 32767,
    ...perRow,
    productsPerInt16: 0,
    description: '16 bits, scale per row',
  },
};

export const formatNames = Object.keys(formats) as FormatName[];

export function formatByCode(code: number): Format | undefined {
  return formatNames.map((name) => formats[name]).find((format) => format.code === code);
}

/** How many groups a row of so many columns has; the last one may be ragged. */
export function groupsPerRow(columns: number): number {
  return Math.ceil(columns / GROUP);
}
