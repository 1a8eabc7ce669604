/**
 * Writes matrices as AutoGPTQ, AutoAWQ and compressed-tensors do, from plain codes, zero points and scales, bit by bit
 * from the published layouts; shares nothing with the readers.
 */
import { nearestHalf } from '../gguf/block-encoders.js';
import { encodeFloats, type WrittenTensor } from '../safetensors-writer.js';

/** A matrix on a grid: code - zero times scale; codes and zeros from 0 to 2^bits - 1 (zeros up to 2^bits in GPTQ). */
export interface Grid {
  readonly rows: number;
  readonly columns: number;
  readonly bits: number;
  readonly groups: number;
  /** Group of each column. */
  readonly groupOf: readonly number[];
  readonly code: (row: number, column: number) => number;
  readonly zero: (row: number, group: number) => number;
  readonly scale: (row: number, group: number) => number;
}

/** Quantizes weights to a grid of groups; `zero` fixed where it is symmetric. */
export function makeGrid(
  weights: Float32Array,
  rows: number,
  columns: number,
  options: {
    readonly bits: number;
    readonly groupOf: readonly number[];
    readonly symmetric: boolean;
    readonly leastZero?: number;
  },
): Grid {
  const { bits, groupOf, symmetric, leastZero = 0 } = options;
  const groups = Math.max(...groupOf) + 1;
  const most = 2 ** bits - 1;
  const zeros: number[] = [];
  const scales: number[] = [];
  for (let row = 0; row < rows; row++) {
    for (let group = 0; group < groups; group++) {
      const values = groupOf.flatMap((g, c) => (g === group ? [weights[row * columns + c]!] : []));
      const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
      const span = symmetric ? 2 * Math.max(-low, high) : high - low;
      // Symmetric grids leave out the end that has no counterpart, as the quantizers do.
      const scale = nearestHalf(span / (symmetric ? most - 1 : most) || 2 ** -10);
      scales.push(scale);
      zeros.push(symmetric ? 2 ** (bits - 1) : Math.min(most, Math.max(leastZero, Math.round(-low / scale))));
    }
  }
  const at = (row: number, group: number) => row * groups + group;
  const clamp = (value: number) => Math.min(most, Math.max(0, value));
  return {
    ...{ rows, columns, bits, groups, groupOf },
    zero: (row, group) => zeros[at(row, group)]!,
    scale: (row, group) => scales[at(row, group)]!,
    code: (row, column) => {
      const group = at(row, groupOf[column]!);
      return clamp(Math.round(weights[row * columns + column]! / scales[group]!) + zeros[group]!);
    },
  };
}

/** What the grid stands for. */
export function gridValues(grid: Grid): Float32Array {
  const { rows, columns, groupOf, code, zero, scale } = grid;
  return Float32Array.from({ length: rows * columns }, (_, i) => {
    const [row, column] = [Math.floor(i / columns), i % columns];
    const group = groupOf[column]!;
    return (code(row, column) - zero(row, group)) * scale(row, group);
  });
}

/** A tensor of 32-bit words into which values of some bits are put one by one. */
class Words {
  readonly words: Uint32Array;

  constructor(readonly shape: readonly [number, number]) {
    this.words = new Uint32Array(shape[0] * shape[1]);
  }

  put(row: number, column: number, shift: number, value: number): void {
    this.words[row * this.shape[1] + column]! += value * 2 ** shift;
  }

  written(): WrittenTensor {
    return { dtype: 'I32', shape: this.shape, data: new Uint8Array(this.words.buffer) };
  }
}

function halves(
  shape: readonly [number, number],
  value: (row: number, column: number) => number,
): WrittenTensor {
  const values = Float32Array.from({ length: shape[0] * shape[1] }, (_, i) =>
    value(Math.floor(i / shape[1]), i % shape[1]),
  );
  return { dtype: 'F16', shape, data: encodeFloats('F16', values) };
}

/** qweight, qzeros, scales, g_idx; stored zero points are one less in version 1. */
export function writeGptq(name: string, grid: Grid, version: 1 | 2): Record<string, WrittenTensor> {
  const { rows, columns, bits, groups } = grid;
  const perWord = 32 / bits;
  const qweight = new Words([columns / perWord, rows]);
  const qzeros = new Words([groups, rows / perWord]);
  for (let row = 0; row < rows; row++) {
    for (let c = 0; c < columns; c++)
      qweight.put(Math.floor(c / perWord), row, bits * (c % perWord), grid.code(row, c));
    for (let g = 0; g < groups; g++) {
      const stored = grid.zero(row, g) - (version === 1 ? 1 : 0);
      qzeros.put(g, Math.floor(row / perWord), bits * (row % perWord), stored);
    }
  }
  return {
    [`${name}.qweight`]: qweight.written(),
    [`${name}.qzeros`]: qzeros.written(),
    [`${name}.scales`]: halves([groups, rows], (group, row) => grid.scale(row, group)),
    [`${name}.g_idx`]: {
      dtype: 'I32',
      shape: [columns],
      data: new Uint8Array(Int32Array.from(grid.groupOf).buffer),
    },
  };
}

/** Where AutoAWQ's pack puts output j of eight: nibble i of the word is output awqOrder[i]. */
const awqOrder = [0, 2, 4, 6, 1, 3, 5, 7];

export function writeAwq(name: string, grid: Grid): Record<string, WrittenTensor> {
  const { rows, columns, groups } = grid;
  const qweight = new Words([columns, rows / 8]);
  const qzeros = new Words([groups, rows / 8]);
  for (let word = 0; word < rows / 8; word++) {
    for (let nibble = 0; nibble < 8; nibble++) {
      const row = 8 * word + awqOrder[nibble]!;
      for (let c = 0; c < columns; c++) qweight.put(c, word, 4 * nibble, grid.code(row, c));
      for (let g = 0; g < groups; g++) qzeros.put(g, word, 4 * nibble, grid.zero(row, g));
    }
  }
  return {
    [`${name}.qweight`]: qweight.written(),
    [`${name}.qzeros`]: qzeros.written(),
    [`${name}.scales`]: halves([groups, rows], (group, row) => grid.scale(row, group)),
  };
}

/** weight_packed, weight_scale, weight_shape and, unless it is symmetric, weight_zero_point. */
export function writePacked(
  name: string,
  grid: Grid,
  symmetric: boolean,
  order = false,
): Record<string, WrittenTensor> {
  const { rows, columns, bits, groups } = grid;
  const perWord = 32 / bits;
  const packed = new Words([rows, Math.ceil(columns / perWord)]);
  const zeros = new Words([Math.ceil(rows / perWord), groups]);
  for (let row = 0; row < rows; row++) {
    for (let c = 0; c < columns; c++)
      packed.put(row, Math.floor(c / perWord), bits * (c % perWord), grid.code(row, c));
    for (let g = 0; g < groups; g++)
      zeros.put(Math.floor(row / perWord), g, bits * (row % perWord), grid.zero(row, g));
  }
  return {
    [`${name}.weight_packed`]: packed.written(),
    [`${name}.weight_scale`]: halves([rows, groups], grid.scale),
    [`${name}.weight_shape`]: {
      dtype: 'I64',
      shape: [2],
      data: new Uint8Array(BigInt64Array.of(BigInt(rows), BigInt(columns)).buffer),
    },
    ...(symmetric ? {} : { [`${name}.weight_zero_point`]: zeros.written() }),
    ...(order
      ? {
          [`${name}.weight_g_idx`]: {
            dtype: 'I32',
            shape: [columns],
            data: new Uint8Array(Int32Array.from(grid.groupOf).buffer),
          },
        }
      : {}),
  };
}
