/** What layouts for vector units have in common: tiles of 32 rows, whose weights lie in the order in which a kernel reads them. */
import { type FormatName, formats, GROUP, groupsPerRow } from '../quantize/format.js';
import type { QuantizedMatrix } from '../quantize/matrix.js';
import { alignUp } from './blob-header.js';
import type { Layout, PackedMatrix, PackedShape } from './kernel-set.js';
import { proveAccumulator } from './prove-accumulator.js';
import { openRowScales, packRowScales, rowScaleBytes } from './row-scale-words.js';

/** EM_ROW_TILE. */
export const ROW_TILE = 32;

/** `mask` bits of a stored integer from bit `from` on, which stand from bit `to` on in the byte of vector x_i. */
interface Field {
  readonly from: number;
  readonly mask: number;
  readonly i: number;
  readonly to: number;
}

const field = (from: number, count: number, i: number, to: number): Field => ({
  from,
  mask: 2 ** count - 1,
  i,
  to,
});

/** By bits of a weight, where each of eight vectors of weights stands in the stored vectors x0, x1, ...: em_unpack_byte. */
const fieldsOf: Readonly<Record<number, readonly (readonly Field[])[]>> = {
  4: [0, 1, 2, 3].flatMap((i) => [[field(0, 4, i, 0)], [field(0, 4, i, 4)]]),
  5: [
    ...[0, 1, 2, 3, 4].map((i) => [field(0, 5, i, 0)]),
    [field(2, 3, 0, 5), field(0, 2, 3, 6)],
    [field(2, 3, 1, 5), field(0, 2, 4, 6)],
    [field(2, 3, 2, 5), field(1, 1, 3, 5), field(0, 1, 4, 5)],
  ],
  6: [0, 3].flatMap((x) => [
    ...[x, x + 1, x + 2].map((i) => [field(0, 6, i, 0)]),
    [field(4, 2, x, 6), field(2, 2, x + 1, 6), field(0, 2, x + 2, 6)],
  ]),
};

/** Where a column of a grouped format stands in a tile. */
export interface Place {
  /** Offset of the byte of the tile's first row in x0. */
  readonly byte: number;
  /** Which of the vectors that `vectorsOfRow` gives it is in. */
  readonly vector: number;
}

/** What such layouts differ in. Offsets are within a tile; rows count from its first. */
export interface Tiling {
  readonly name: string;
  readonly code: number;
  /** Bytes of a stored vector. */
  readonly vectorBytes: number;
  /** Bytes of 32 rows of w4, w5, w6 and w8, a multiple of 64: em_tile_bytes. */
  tileBytes(format: FormatName, columns: number): number;
  placeOf(format: FormatName, columns: number, column: number): Place;
  /** Distance of a row's bytes from those of the tile's first row. */
  byteOfRow(row: number): number;
  /** Which of eight vectors hold a row, one for each Place.vector. */
  vectorsOfRow(row: number): readonly number[];
  /** Where sub-scales of a group stand for the first row; more than one place holds the same. */
  subScalesOf(format: FormatName, columns: number, group: number): readonly number[];
  /** Bytes between the sub-scales of two rows. */
  readonly subScaleStride: number;
  byteOfW8(columns: number, row: number, column: number): number;
}

const tilesOf = (rows: number) => Math.ceil(rows / ROW_TILE);

/** Offsets of the parts of a section. */
function partsOf(tiling: Tiling, format: FormatName, rows: number, columns: number) {
  const tiles = tilesOf(rows);
  const is16 = formats[format].bits === 16;
  const scales = alignUp(is16 ? rows * columns * 2 : tiles * tiling.tileBytes(format, columns));
  return { scales, end: scales + rowScaleBytes(tiles * ROW_TILE) };
}

/** Offset of the tile of a row. */
function tileOf(tiling: Tiling, format: FormatName, columns: number, row: number): number {
  return Math.floor(row / ROW_TILE) * tiling.tileBytes(format, columns);
}

/** Fields of the weights of a row, by Place.vector. */
function fieldsOfRow(tiling: Tiling, format: FormatName, row: number): readonly (readonly Field[])[] {
  return tiling.vectorsOfRow(row % ROW_TILE).map((vector) => fieldsOf[formats[format].bits]![vector]!);
}

/** Stores the integers of whole tiles: beyond the matrix zero weights, which are the offset. */
function packGrouped(tiling: Tiling, matrix: QuantizedMatrix, out: Uint8Array): void {
  const { format, rows, columns, integers } = matrix;
  const { vectorBytes } = tiling;
  const offset = 2 ** (formats[format].bits - 1);
  const places = Array.from({ length: groupsPerRow(columns) * GROUP }, (_, c) =>
    tiling.placeOf(format, columns, c),
  );
  for (let row = 0; row < tilesOf(rows) * ROW_TILE; row++) {
    const start = tileOf(tiling, format, columns, row) + tiling.byteOfRow(row % ROW_TILE);
    const fields = fieldsOfRow(tiling, format, row);
    for (let column = 0; column < places.length; column++) {
      const inside = row < rows && column < columns;
      const stored = offset + (inside ? integers[row * columns + column]! : 0);
      const { byte, vector } = places[column]!;
      const parts = fields[vector]!;
      for (let part = 0; part < parts.length; part++) {
        const { from, mask, i, to } = parts[part]!;
        const at = start + byte + vectorBytes * i;
        out[at] = out[at]! | (((stored >> from) & mask) << to);
      }
    }
  }
}

/** Stores the sub-scales among the weights. */
function packSubScales(tiling: Tiling, matrix: QuantizedMatrix, all: Int8Array, out: Uint8Array): void {
  const { format, rows, columns } = matrix;
  const groups = groupsPerRow(columns);
  for (let g = 0; g < groups; g++) {
    const places = tiling.subScalesOf(format, columns, g);
    for (let row = 0; row < rows; row++) {
      const start = tileOf(tiling, format, columns, row) + tiling.subScaleStride * (row % ROW_TILE);
      for (const place of places) out[start + place] = all[row * groups + g]!;
    }
  }
}

function packW8(tiling: Tiling, { rows, columns, integers }: QuantizedMatrix, out: Uint8Array): void {
  for (let row = 0; row < rows; row++) {
    for (let c = 0; c < columns; c++) out[tiling.byteOfW8(columns, row, c)] = integers[row * columns + c]!;
  }
}

const bytesOf = (view: ArrayBufferView) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

function pack(tiling: Tiling, matrix: QuantizedMatrix): Uint8Array {
  const { format, rows, columns, integers, subScales } = matrix;
  proveAccumulator(matrix, formats[format].bits === 8 ? 2 ** 31 : 2 ** 62);
  const parts = partsOf(tiling, format, rows, columns);
  const out = new Uint8Array(parts.end);
  if (subScales !== null) {
    packGrouped(tiling, matrix, out);
    packSubScales(tiling, matrix, subScales, out);
  } else if (formats[format].bits === 16) {
    out.set(bytesOf(integers));
  } else {
    packW8(tiling, matrix, out);
  }
  packRowScales(matrix, out.subarray(parts.scales));
  return out;
}

function open(
  tiling: Tiling,
  section: Uint8Array,
  { format, rows, columns, leastExponent }: PackedShape,
): PackedMatrix {
  const view = new DataView(section.buffer, section.byteOffset, section.byteLength);
  const { bits, grouped } = formats[format];
  const parts = partsOf(tiling, format, rows, columns);
  return {
    integer(row, column) {
      if (bits === 16) return view.getInt16(2 * (row * columns + column), true);
      if (!grouped) return view.getInt8(tiling.byteOfW8(columns, row, column));
      const { byte, vector } = tiling.placeOf(format, columns, column);
      const at = tileOf(tiling, format, columns, row) + tiling.byteOfRow(row % ROW_TILE) + byte;
      const stored = fieldsOfRow(tiling, format, row)[vector]!.reduce(
        (sum, { from, mask, i, to }) =>
          sum | (((section[at + tiling.vectorBytes * i]! >> to) & mask) << from),
        0,
      );
      return stored - 2 ** (bits - 1);
    },
    subScale(row, group) {
      const [first] = tiling.subScalesOf(format, columns, group);
      const tile = tileOf(tiling, format, columns, row);
      return view.getInt8(tile + first! + tiling.subScaleStride * (row % ROW_TILE));
    },
    ...openRowScales(view, parts.scales, leastExponent),
  };
}

export function tiledLayout(tiling: Tiling): Layout {
  return {
    name: tiling.name,
    code: tiling.code,
    sectionBytes: (format, rows, columns) => partsOf(tiling, format, rows, columns).end,
    pack: (matrix) => pack(tiling, matrix),
    open: (section, shape) => open(tiling, section, shape),
  };
}
