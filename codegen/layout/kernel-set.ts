/**
 * The interface by which a target chooses kernels and weight layouts.
 *
 * A kernel set is a folder of C headers under templates/kernels plus the packers that make the bytes these headers read. Its
 * em_linear.h provides, whatever the layout (docs/architecture.md, section Kernel sets):
 *
 *   struct em_linear_op, struct em_matrix, em_matrix_open(section, format, rows, columns)
 *   EM_PREPARED_BYTES(columns), em_prepare(row, columns, prepared)           what the kernels want of a row of activations
 *                                                                            besides its integers: group sums, shifted copies
 *   em_linear_rows(op, matrix, bias, activations, tokens, first, end, out)   rows are multiples of EM_ROW_TILE, or the last
 *   em_gather_row(matrix, row, frac, out)                                    a token's embedding from the same packed weights
 *
 * its em_cache.h the part of attention that is done for every cached position (templates/kernels/em_cache_types.h), and its
 * em_strips.h and em_vectors.h what is done to vectors between matrices (templates/kernels/em_vector_types.h).
 */
import type { KernelSet as KernelSetName } from '../../targets/target.js';
import type { FormatName } from '../quantize/format.js';
import type { QuantizedMatrix } from '../quantize/matrix.js';
import { avx2Layout, avx2PreparedBytes } from './avx2-layout.js';
import { lanesLayout, lanesPreparedBytes } from './lanes-layout.js';
import { neonLayout, neonPreparedBytes } from './neon-layout.js';
import { rowsLayout } from './rows-layout.js';

/** How a matrix of some formats is packed into its section of the blob. */
export interface Layout {
  readonly name: string;
  /** Number in blob entries. Never reused. */
  readonly code: number;
  /** Bytes of a section: weights, sub-scales, row multipliers, paddings. */
  sectionBytes(format: FormatName, rows: number, columns: number): number;
  /** The section, row multipliers included. */
  pack(matrix: QuantizedMatrix): Uint8Array;
  /** Reads a section back, value by value: what the kernels see. */
  open(section: Uint8Array, shape: PackedShape): PackedMatrix;
}

/** What a blob's table says of a section. */
export interface PackedShape {
  readonly format: FormatName;
  readonly rows: number;
  readonly columns: number;
  readonly leastExponent: number;
}

/** A section of the blob, read value by value. */
export interface PackedMatrix {
  /** The stored integer of a weight. */
  integer(row: number, column: number): number;
  /** The sub-scale of a group of a row; only in grouped formats. */
  subScale(row: number, group: number): number;
  /** The multiplier of a row: mantissa * 2^-exponent. */
  mantissa(row: number): number;
  exponent(row: number): number;
}

export interface KernelSet {
  readonly name: KernelSetName;
  /** Folder of its headers under templates/kernels. */
  readonly folder: string;
  readonly headers: readonly string[];
  /** Headers of templates/kernels itself that not every set uses. */
  readonly shared: readonly string[];
  layoutFor(format: FormatName): Layout;
  /** EM_PREPARED_BYTES of its em_linear.h: bytes that em_prepare makes of a row of activations, a multiple of 64. */
  preparedBytes(columns: number): number;
  /** EM_CACHE_BLOCK of its em_cache.h: the KV cache has memory for a multiple of so many positions. */
  readonly cacheBlock: number;
  /** EM_KEY_BLOCK_BYTES: bytes that the keys of a head take for cacheBlock positions. */
  keyBlockBytes(headDim: number): number;
  /** EM_SCORE_INTS: int32 of work memory for the score of a position. */
  readonly scoreInts: number;
}

/** A KV cache of plain rows, and what its sums are made of. */
const tiledRows = ['em_tile_fields.h', 'em_tiled_matrix.h', 'em_tiled_rows.h'];
const rowCache = ['em_cache_rows.h', 'em_cache_plain.h', 'em_softmax.h'];
const wordCache = [...rowCache, 'em_cache_words.h', 'em_registers.h'];

/** What is done to vectors: loops that are left to the compiler, for general registers. */
const plainVectors = ['em_plain_gates.h', 'em_plain_strips.h', 'em_vectors_by_value.h'];

const sets: Readonly<Record<KernelSetName, KernelSet>> = {
  portable: {
    name: 'portable',
    folder: 'portable',
    headers: ['em_linear.h', 'em_cache.h', 'em_strips.h', 'em_vectors.h', 'em_row_sums.h'],
    shared: [...wordCache, ...plainVectors],
    layoutFor: () => rowsLayout,
    preparedBytes: () => 0,
    cacheBlock: 1,
    keyBlockBytes: (headDim) => headDim,
    scoreInts: 1,
  },
  avx2: {
    name: 'avx2',
    folder: 'avx2',
    headers: [
      'em_linear.h',
      'em_matrix.h',
      'em_cache.h',
      'em_avx2.h',
      'em_batch.h',
      'em_strips.h',
      'em_vectors.h',
      'em_grouped.h',
      'em_prepare.h',
      'em_tile.h',
      'em_tile_sums.h',
      'em_w8.h',
      'em_weights.h',
    ],
    shared: [...tiledRows, 'em_vectors_by_strip.h'],
    layoutFor: () => avx2Layout,
    preparedBytes: avx2PreparedBytes,
    cacheBlock: 8,
    keyBlockBytes: (headDim) => 8 * headDim,
    scoreInts: 1,
  },
  swar: {
    name: 'swar',
    folder: 'swar',
    headers: [
      'em_linear.h',
      'em_cache.h',
      'em_strips.h',
      'em_vectors.h',
      'em_grouped.h',
      'em_w8.h',
      'em_prepare.h',
      'em_grouped_pair.h',
      'em_requantize.h',
      'em_in_order.h',
      'em_lanes.h',
      'em_cache_keys.h',
      'em_cache_values.h',
      'em_weights.h',
    ],
    shared: ['em_registers.h', ...plainVectors],
    layoutFor: () => lanesLayout,
    preparedBytes: lanesPreparedBytes,
    cacheBlock: 24,
    keyBlockBytes: (headDim) => 32 * headDim,
    scoreInts: 2,
  },
  neon: {
    name: 'neon',
    folder: 'neon',
    headers: [
      'em_linear.h',
      'em_matrix.h',
      'em_cache.h',
      'em_strips.h',
      'em_vectors.h',
      'em_grouped.h',
      'em_w8.h',
      'em_prepare.h',
      'em_tile.h',
      'em_tile_sums.h',
      'em_neon.h',
    ],
    shared: [...tiledRows, 'em_plain_gates.h', 'em_vectors_by_strip.h'],
    layoutFor: () => neonLayout,
    preparedBytes: neonPreparedBytes,
    cacheBlock: 8,
    keyBlockBytes: (headDim) => 8 * headDim,
    scoreInts: 1,
  },
};

export function kernelSetOf(name: KernelSetName): KernelSet {
  return sets[name];
}
