/** Cases of matrix products and row gathers in the layouts of a kernel set, answered by the TypeScript reference. */
import { quantizeVector } from '../../../codegen/arithmetic/activation.js';
import { INT32_MAX } from '../../../codegen/arithmetic/fixed.js';
import type { KernelSet } from '../../../codegen/layout/kernel-set.js';
import { gatherRow } from '../../../codegen/ops/embed.js';
import { type LinearStep, multiplyQuantized } from '../../../codegen/ops/linear.js';
import { type FormatName, formatNames, formats } from '../../../codegen/quantize/format.js';
import { accumulatorShift, type QuantizedMatrix } from '../../../codegen/quantize/matrix.js';
import { leastExponent } from '../../../codegen/quantize/row-scale.js';
import { Vectors } from '../../codegen/arithmetic/vectors.js';
import { randomMatrix } from '../../codegen/quantize/random-matrix.js';
import { type KernelCase, operation, UNTOUCHED } from './kernel-case.js';

/** Format, shape and section of a matrix, as words. */
function matrixWords(matrix: QuantizedMatrix, kernels: KernelSet): number[] {
  const section = kernels.layoutFor(matrix.format).pack(matrix);
  const padded = new Uint8Array(Math.ceil(section.length / 4) * 4);
  padded.set(section);
  const { format, rows, columns } = matrix;
  return [formats[format].code, rows, columns, section.length, ...new Int32Array(padded.buffer)];
}

export interface LinearSetting {
  readonly kernels: KernelSet;
  readonly matrix: QuantizedMatrix;
  readonly values: Int32Array;
  readonly tokens: number;
  readonly first: number;
  readonly end: number;
  readonly bias: Int32Array | null;
  readonly shiftBase: number;
}

export function linearCase(name: string, setting: LinearSetting): KernelCase {
  const { kernels, matrix, values, tokens, first, end, bias, shiftBase } = setting;
  const { rows, columns } = matrix;
  const op = {
    kind: 'linear',
    name: '',
    matrix: '',
    bias: null,
    input: '',
    output: '',
    range: '',
    gain: 1,
  } as const;
  const shift = accumulatorShift(matrix);
  const formats = { inFrac: 0, outFrac: 0 };
  const step: LinearStep = {
    kind: 'linear',
    op,
    matrix,
    bias,
    accumulatorShift: shift,
    shiftBase,
    ...formats,
  };
  const expected: number[] = [];
  for (let token = 0; token < tokens; token++) {
    const integers = new Int8Array(columns);
    const tokenScale = quantizeVector(values, token * columns, columns, integers, 0);
    const out = new Int32Array(rows);
    multiplyQuantized(step, { integers, scale: tokenScale }, out);
    expected.push(...out.map((value, row) => (row >= first && row < end ? value : UNTOUCHED)));
  }
  const constants = [shift, leastExponent(matrix) + shiftBase, first, end, tokens];
  const biasWords = bias === null ? [0] : [1, ...bias];
  const input = [
    operation.linearRows,
    ...matrixWords(matrix, kernels),
    ...constants,
    ...biasWords,
    ...values,
  ];
  return { name: `${name}, accumulator shift ${shift}`, input, expected };
}

/** Shift of activations that fill int32, and bits that most results shall have. */
const TOKEN_SHIFT = 16;
const RESULT_BITS = 22;

/** A shift_base under which results of this matrix neither saturate nor vanish, but for a few. */
export function middlingShift(matrix: QuantizedMatrix): number {
  const { bits, grouped } = formats[matrix.format];
  const sumBits = Math.log2(matrix.columns) / 2 + bits + (grouped ? 11 : 5) - accumulatorShift(matrix);
  return Math.round(sumBits + 30 + TOKEN_SHIFT - RESULT_BITS - Math.max(...matrix.exponents));
}

/** A multiple of every set's EM_ROW_TILE. */
export const ROW_TILES = 32;

export function linearCases(kernels: KernelSet): KernelCase[] {
  const vectors = new Vectors(5n);
  const cases: KernelCase[] = [];
  const shapes = [
    [1, 1],
    [3, 33],
    [2, 31],
    [9, 64],
    [5, 100],
    [17, 300],
    [4, 2050],
    [33, 96],
    [70, 288],
  ] as const; // rows, columns
  for (const format of formatNames) {
    for (const [i, [rows, columns]] of shapes.entries()) {
      for (const extreme of [false, true]) {
        const matrix = randomMatrix(vectors, { format, rows, columns, extreme, exponents: [38, 42] });
        const tokens = [1, 2, 3, 9, 17][i % 5]!; // tiles of tokens, full and ragged
        const values = vectors.activations(tokens * columns, extreme ? 2 + (i % 2) : 0);
        const bias = i % 2 === 0 ? vectors.activations(rows, i) : null;
        const first = rows > ROW_TILES && extreme ? ROW_TILES : 0;
        const shiftBase = middlingShift(matrix);
        const setting = { kernels, matrix, values, tokens, first, end: rows, bias, shiftBase };
        cases.push(linearCase(`${format} ${rows} x ${columns}${extreme ? ' at the ends' : ''}`, setting));
      }
    }
    cases.push(...gatherCases(kernels, vectors, format));
  }
  cases.push(...wideCases(kernels, vectors));
  return cases;
}

/** Rows whose accumulator passes 2^31, exponents at their ends, saturation both ways. */
function wideCases(kernels: KernelSet, vectors: Vectors): KernelCase[] {
  const cases: KernelCase[] = [];
  for (const [format, columns] of [
    ['w16', 4099],
    ['w4', 16700],
    ['w6', 4300],
    ['w5', 8500],
    ['w8', 16000],
  ] as const) {
    const matrix = randomMatrix(vectors, { format, rows: 2, columns });
    matrix.integers.fill(formats[format].grouped ? formats[format].min : formats[format].max);
    matrix.subScales?.fill(-127);
    for (const sign of [1, -1]) {
      const values = new Int32Array(columns).fill(sign * INT32_MAX);
      const setting = { kernels, matrix, values, tokens: 1, first: 0, end: 2, bias: null };
      cases.push(
        linearCase(`${format} ${columns} columns of one sign`, {
          ...setting,
          shiftBase: middlingShift(matrix),
        }),
      );
      const bias = new Int32Array(2).fill(sign * INT32_MAX);
      cases.push(linearCase(`${format} saturating`, { ...setting, bias, shiftBase: -40 }));
    }
  }
  for (const exponents of [
    [0, 0],
    [30, 50],
    [55, 85], // shifts on both sides of 62, beyond which everything is 0
    [255, 255],
  ] as const) {
    const matrix = randomMatrix(vectors, { format: 'w8', rows: 60, columns: 40, exponents });
    const values = vectors.int32s(40, 31);
    for (const shiftBase of [-60, 0, 40])
      cases.push(
        linearCase(`exponent ${exponents[0]}`, {
          kernels,
          matrix,
          values,
          tokens: 1,
          first: 0,
          end: 60,
          bias: null,
          shiftBase,
        }),
      );
  }
  return cases;
}

export function gatherCase(
  kernels: KernelSet,
  matrix: QuantizedMatrix,
  row: number,
  frac: number,
): KernelCase {
  const { format, rows, columns } = matrix;
  const out = new Int32Array(columns);
  gatherRow(matrix, row, frac, out);
  const input = [operation.gatherRow, ...matrixWords(matrix, kernels), row, leastExponent(matrix) - frac];
  return { name: `gather row ${row} of ${format} ${rows} x ${columns}`, input, expected: [...out] };
}

function gatherCases(kernels: KernelSet, vectors: Vectors, format: FormatName): KernelCase[] {
  return [
    [1, 1],
    [5, 33],
    [6, 96],
    [4, 130],
    [45, 160],
  ].flatMap(([rows, columns]) => {
    const matrix = randomMatrix(vectors, { format, rows: rows!, columns: columns! });
    return [0, rows! - 1].map((row) => gatherCase(kernels, matrix, row, vectors.between(0, 30)));
  });
}
