/** A quantized matrix before packing: the same for every target of one plan. */
import { createHash } from 'node:crypto';
import { bitLength, INT32_MAX, roundShift } from '../arithmetic/fixed.js';
import { ACTIVATION_MAX, type FormatName, formats, GROUP, groupsPerRow } from './format.js';

export interface QuantizedMatrix {
  /** Name in the plan, such as layers.0.attn.q. */
  readonly name: string;
  readonly format: FormatName;
  readonly rows: number;
  readonly columns: number;
  /** Stored integers, rows x columns. */
  readonly integers: Int8Array | Int16Array;
  /** Sub-scales, rows x groupsPerRow(columns), in [-127, 127]; null without groups. */
  readonly subScales: Int8Array | null;
  /** Row scale / 127 as mantissa * 2^-exponent (row-scale.ts); mantissa in [2^30, 2^31), or 0 for a row of zeros. */
  readonly mantissas: Int32Array;
  readonly exponents: Uint8Array;
}

/** The row scale as a real number. */
export function rowScale(matrix: QuantizedMatrix, row: number): number {
  return ACTIVATION_MAX * matrix.mantissas[row]! * 2 ** -matrix.exponents[row]!;
}

/** One row as the real numbers that the integers stand for. */
export function dequantizeRow(matrix: QuantizedMatrix, row: number, out: Float32Array): void {
  const { columns, integers, subScales } = matrix;
  const groups = groupsPerRow(columns);
  const scale = rowScale(matrix, row);
  for (let c = 0; c < columns; c++) {
    const k = subScales === null ? 1 : subScales[row * groups + Math.floor(c / GROUP)]!;
    out[c] = integers[row * columns + c]! * k * scale;
  }
}

/** All of it, float32[rows x columns]. */
export function dequantizeMatrix(matrix: QuantizedMatrix): Float32Array {
  const { rows, columns } = matrix;
  const out = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++)
    dequantizeRow(matrix, row, out.subarray(row * columns, (row + 1) * columns));
  return out;
}

/**
 * The largest magnitude that the accumulator of any row can reach, in any order of summation:
 * max over rows of sum over groups of |k| * 127 * sum |q|. Exact.
 */
export function accumulatorBound(matrix: QuantizedMatrix): number {
  const { rows, columns, integers, subScales } = matrix;
  const groups = groupsPerRow(columns);
  let bound = 0;
  for (let row = 0; row < rows; row++) {
    let sum = 0;
    for (let group = 0; group < groups; group++) {
      const end = Math.min(columns, (group + 1) * GROUP);
      let magnitude = 0;
      for (let c = group * GROUP; c < end; c++) magnitude += Math.abs(integers[row * columns + c]!);
      sum += subScales === null ? magnitude : magnitude * Math.abs(subScales[row * groups + group]!);
    }
    bound = Math.max(bound, sum * ACTIVATION_MAX);
  }
  return bound;
}

/** Bits to drop from an accumulator, rounding, so that it fits int32 for every activation. */
export function accumulatorShift(matrix: QuantizedMatrix): number {
  const bound = accumulatorBound(matrix);
  const shift = Math.max(0, bitLength(bound) - 31);
  // A bound just below a power of two rounds up to 2^31.
  return roundShift(bound, shift) <= INT32_MAX ? shift : shift + 1;
}

/** SHA-256 (hex) over name, format, shape, integers and scales of every matrix: the quantized hash of a plan. */
export function quantizedHash(matrices: Iterable<QuantizedMatrix>): string {
  const hash = createHash('sha256');
  const bytes = (view: ArrayBufferView) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  for (const m of matrices) {
    hash.update(`${m.name}\0${m.format}\0${m.rows}x${m.columns}\0`);
    hash.update(bytes(m.integers));
    if (m.subScales !== null) hash.update(bytes(m.subScales));
    hash.update(bytes(m.mantissas));
    hash.update(m.exponents);
  }
  return hash.digest('hex');
}

/** An empty matrix of a format, to be filled row by row. */
export function allocateMatrix(
  name: string,
  format: FormatName,
  rows: number,
  columns: number,
): QuantizedMatrix {
  return {
    name,
    format,
    rows,
    columns,
    integers: formats[format].bits === 16 ? new Int16Array(rows * columns) : new Int8Array(rows * columns),
    subScales: formats[format].grouped ? new Int8Array(rows * groupsPerRow(columns)) : null,
    mantissas: new Int32Array(rows),
    exponents: new Uint8Array(rows),
  };
}
