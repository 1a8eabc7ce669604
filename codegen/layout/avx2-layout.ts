/** Layout "tiles32": tiles of 32 rows, as templates/kernels/avx2/em_linear.h, em_grouped.h and em_w8.h document them. */
import { type FormatName, formats, GROUP, groupsPerRow } from '../quantize/format.js';
import type { QuantizedMatrix } from '../quantize/matrix.js';
import { alignUp } from './blob-header.js';
import type { Layout } from './kernel-set.js';
import { proveAccumulator } from './prove-accumulator.js';

/** EM_ROW_TILE. */
const ROW_TILE = 32;
/** Bytes of a vector: eight rows of four columns. */
const VECTOR = 32;
/** Columns are padded to multiples of this in w8: EM_W8_STEP quads. */
const W8_COLUMNS = 32;
/** Sub-scales of 32 rows for two groups. */
const SUB_SCALE_BYTES = 2 * ROW_TILE;

const tilesOf = (rows: number) => Math.ceil(rows / ROW_TILE);
const pairsOf = (columns: number) => Math.ceil(groupsPerRow(columns) / 2);

/** Bytes of 32 rows of w4, w5, w6 and w8: em_tile_bytes. */
function tileBytes(format: FormatName, columns: number): number {
  const { bits, grouped } = formats[format];
  if (!grouped) return Math.ceil(columns / W8_COLUMNS) * W8_COLUMNS * ROW_TILE;
  return pairsOf(columns) * SUB_SCALE_BYTES + groupsPerRow(columns) * GROUP * ROW_TILE * (bits / 8);
}

/** Offsets of the parts of a section. */
function partsOf(format: FormatName, rows: number, columns: number) {
  const tiles = tilesOf(rows);
  const weights =
    formats[format].bits === 16 ? alignUp(rows * columns * 2) : tiles * tileBytes(format, columns);
  const exponents = weights + tiles * ROW_TILE * 4;
  return { mantissas: weights, exponents, end: exponents + tiles * ROW_TILE };
}

/** Where a column of a grouped format stands in a tile. */
interface Place {
  /** Offset of the sub-scales of its pair of groups. */
  readonly subScales: number;
  /** Which of the two groups. */
  readonly group: number;
  /** Whether the pair lacks its second group. */
  readonly single: boolean;
  /** Offset of the byte of row 0 in x0, the first vector of two quads. */
  readonly byte: number;
  /** Which of the two quads. */
  readonly odd: number;
}

function placeOf(format: FormatName, columns: number, column: number): Place {
  const groupBytes = GROUP * ROW_TILE * (formats[format].bits / 8);
  const pair = Math.floor(column / (2 * GROUP));
  const single = pair >= Math.floor(groupsPerRow(columns) / 2);
  const group = Math.floor(column / GROUP) % 2;
  const c = column % GROUP;
  const quad = single ? c >> 2 : c >> 1;
  const subScales = pair * (SUB_SCALE_BYTES + 2 * groupBytes);
  const inQuad = single ? c % 4 : 2 * group + (c % 2);
  const byte = subScales + SUB_SCALE_BYTES + (quad >> 1) * (groupBytes / 4) + inQuad;
  return { subScales, group, single, byte, odd: quad % 2 };
}

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

/** Where each of the eight vectors of two quads stands in x0, x1, ...: em_unpack. */
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

/** The fields of a row: those of its vector in the first quad, then in the second. */
function fieldsOfRow(format: FormatName, row: number): readonly [readonly Field[], readonly Field[]] {
  const vectors = fieldsOf[formats[format].bits]!;
  const eight = (row % ROW_TILE) >> 3;
  return [vectors[eight]!, vectors[4 + eight]!];
}

/** Offset of the first byte of a row in the vectors of its tile. */
function rowStart(format: FormatName, columns: number, row: number): number {
  return Math.floor(row / ROW_TILE) * tileBytes(format, columns) + 4 * (row % 8);
}

/** Stores the integers of whole tiles: beyond the matrix zero weights, which are the offset. */
function packGrouped(matrix: QuantizedMatrix, out: Uint8Array): void {
  const { format, rows, columns, integers } = matrix;
  const offset = 2 ** (formats[format].bits - 1);
  const places = Array.from({ length: groupsPerRow(columns) * GROUP }, (_, c) => placeOf(format, columns, c));
  for (let row = 0; row < tilesOf(rows) * ROW_TILE; row++) {
    const start = rowStart(format, columns, row);
    const fields = fieldsOfRow(format, row);
    for (let column = 0; column < places.length; column++) {
      const inside = row < rows && column < columns;
      const stored = offset + (inside ? integers[row * columns + column]! : 0);
      const { byte, odd } = places[column]!;
      const parts = fields[odd as 0 | 1];
      for (let part = 0; part < parts.length; part++) {
        const { from, mask, i, to } = parts[part]!;
        const at = start + byte + VECTOR * i;
        out[at] = out[at]! | (((stored >> from) & mask) << to);
      }
    }
  }
}

/** Stores the sub-scales row by row among the weights; those of a single group twice. */
function packSubScales(matrix: QuantizedMatrix, all: Int8Array, out: Uint8Array): void {
  const { format, rows, columns } = matrix;
  const groups = groupsPerRow(columns);
  for (let g = 0; g < groups; g++) {
    const { subScales, group, single } = placeOf(format, columns, g * GROUP);
    for (let row = 0; row < rows; row++) {
      const tile = Math.floor(row / ROW_TILE) * tileBytes(format, columns);
      const at = tile + subScales + 2 * (row % ROW_TILE);
      out[at + group] = all[row * groups + g]!;
      if (single) out[at + 1] = all[row * groups + g]!;
    }
  }
}

/** Offset of a weight of w8: quad after quad, in it row after row. */
function byteOfW8(columns: number, row: number, column: number): number {
  const tile = Math.floor(row / ROW_TILE) * tileBytes('w8', columns);
  return tile + (column >> 2) * 4 * ROW_TILE + 4 * (row % ROW_TILE) + (column % 4);
}

function packW8(matrix: QuantizedMatrix, out: Uint8Array): void {
  const { rows, columns, integers } = matrix;
  for (let row = 0; row < rows; row++) {
    for (let c = 0; c < columns; c++) out[byteOfW8(columns, row, c)] = integers[row * columns + c]!;
  }
}

const bytesOf = (view: ArrayBufferView) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

export const avx2Layout: Layout = {
  name: 'tiles32',
  code: 2,
  sectionBytes: (format, rows, columns) => partsOf(format, rows, columns).end,
  pack(matrix) {
    const { format, rows, columns, integers, subScales } = matrix;
    proveAccumulator(matrix, formats[format].bits === 8 ? 2 ** 31 : 2 ** 62);
    const parts = partsOf(format, rows, columns);
    const out = new Uint8Array(parts.end);
    if (subScales !== null) {
      packGrouped(matrix, out);
      packSubScales(matrix, subScales, out);
    } else if (formats[format].bits === 16) {
      out.set(bytesOf(integers));
    } else {
      packW8(matrix, out);
    }
    out.set(bytesOf(matrix.mantissas), parts.mantissas);
    out.set(matrix.exponents, parts.exponents);
    out.fill(matrix.exponents[rows - 1]!, parts.exponents + rows);
    return out;
  },
  open(section, format, rows, columns) {
    const view = new DataView(section.buffer, section.byteOffset, section.byteLength);
    const { bits, grouped } = formats[format];
    const parts = partsOf(format, rows, columns);
    return {
      integer(row, column) {
        if (bits === 16) return view.getInt16(2 * (row * columns + column), true);
        if (!grouped) return view.getInt8(byteOfW8(columns, row, column));
        const { byte, odd } = placeOf(format, columns, column);
        const at = rowStart(format, columns, row) + byte;
        const stored = fieldsOfRow(format, row)[odd as 0 | 1].reduce(
          (sum, { from, mask, i, to }) => sum | (((section[at + VECTOR * i]! >> to) & mask) << from),
          0,
        );
        return stored - 2 ** (bits - 1);
      },
      subScale(row, index) {
        const { subScales, group } = placeOf(format, columns, index * GROUP);
        const tile = Math.floor(row / ROW_TILE) * tileBytes(format, columns);
        return view.getInt8(tile + subScales + 2 * (row % ROW_TILE) + group);
      },
      mantissa: (row) => view.getInt32(parts.mantissas + 4 * row, true),
      exponent: (row) => view.getUint8(parts.exponents + row),
    };
  },
};

/** EM_PREPARED_BYTES: 64 activations and 32 bytes of what accumulators start with, for two groups. */
export function avx2PreparedBytes(columns: number): number {
  return alignUp(pairsOf(columns) * 96);
}
