/** Layout "columns32": tiles of 32 rows, as templates/kernels/neon/em_linear.h, em_grouped.h and em_w8.h document them. */
import { type FormatName, formats, GROUP, groupsPerRow } from '../quantize/format.js';
import type { QuantizedMatrix } from '../quantize/matrix.js';
import { alignUp } from './blob-header.js';
import type { Layout } from './kernel-set.js';
import { proveAccumulator } from './prove-accumulator.js';

/** EM_ROW_TILE. */
const ROW_TILE = 32;
/** Bytes of a vector: one column of sixteen rows. */
const VECTOR = 16;
/** EM_STRIP_ROWS and EM_BLOCK_COLUMNS of w8. */
const STRIP_ROWS = 8;
const BLOCK_COLUMNS = 32;

const tilesOf = (rows: number) => Math.ceil(rows / ROW_TILE);
const blocksOf = (columns: number) => Math.ceil(columns / BLOCK_COLUMNS);

/** EM_GROUP_BYTES: sub-scales and weights of 32 rows and 32 columns. */
const groupBytes = (format: FormatName) => ROW_TILE + (GROUP * ROW_TILE * formats[format].bits) / 8;

/** Bytes of 32 rows of w4, w5, w6 and w8: em_tile_bytes. */
function tileBytes(format: FormatName, columns: number): number {
  return formats[format].grouped
    ? groupsPerRow(columns) * groupBytes(format)
    : blocksOf(columns) * BLOCK_COLUMNS * ROW_TILE;
}

/** Offsets of the parts of a section. */
function partsOf(format: FormatName, rows: number, columns: number) {
  const tiles = tilesOf(rows);
  const weights = formats[format].bits === 16 ? rows * columns * 2 : tiles * tileBytes(format, columns);
  const mantissas = alignUp(weights);
  const exponents = mantissas + tiles * ROW_TILE * 4;
  return { mantissas, exponents, end: exponents + tiles * ROW_TILE };
}

/** em_exponent_at: those of sixteen rows lie together, even rows before odd rows. */
const exponentAt = (row: number) => (row & ~15) | ((row & 1) << 3) | ((row & 15) >> 1);

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

/** Where each of the eight vectors of four columns stands in x0, x1, ...: em_unpack_byte. */
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

/** Offset within a tile of the sub-scales of the group that a column is in. */
const groupAt = (format: FormatName, column: number) => Math.floor(column / GROUP) * groupBytes(format);

/** Offset within a tile of x0 of the four columns that a column is in. */
function quadAt(format: FormatName, column: number): number {
  return groupAt(format, column) + ROW_TILE + ((column % GROUP) >> 2) * VECTOR * formats[format].bits;
}

/** Offset of the tile of a row. */
function tileAt(format: FormatName, columns: number, row: number): number {
  return Math.floor(row / ROW_TILE) * tileBytes(format, columns);
}

/** The fields of a row's weights in columns 0 to 3 of four. */
function fieldsOfRow(format: FormatName, row: number): readonly (readonly Field[])[] {
  const half = (row % ROW_TILE) >> 4;
  return [0, 1, 2, 3].map((c) => fieldsOf[formats[format].bits]![2 * c + half]!);
}

/** Stores the integers of whole tiles: beyond the matrix zero weights, which are the offset. */
function packGrouped(matrix: QuantizedMatrix, out: Uint8Array): void {
  const { format, rows, columns, integers } = matrix;
  const offset = 2 ** (formats[format].bits - 1);
  const quads = Array.from({ length: groupsPerRow(columns) * GROUP }, (_, c) => quadAt(format, c));
  for (let row = 0; row < tilesOf(rows) * ROW_TILE; row++) {
    const start = tileAt(format, columns, row) + (row % VECTOR);
    const fields = fieldsOfRow(format, row);
    for (let column = 0; column < quads.length; column++) {
      const inside = row < rows && column < columns;
      const stored = offset + (inside ? integers[row * columns + column]! : 0);
      for (const { from, mask, i, to } of fields[column % 4]!) {
        const at = start + quads[column]! + VECTOR * i;
        out[at] = out[at]! | (((stored >> from) & mask) << to);
      }
    }
  }
}

function packSubScales(matrix: QuantizedMatrix, all: Int8Array, out: Uint8Array): void {
  const { format, rows, columns } = matrix;
  const groups = groupsPerRow(columns);
  for (let row = 0; row < rows; row++) {
    const start = tileAt(format, columns, row) + (row % ROW_TILE);
    for (let g = 0; g < groups; g++) out[start + groupAt(format, g * GROUP)] = all[row * groups + g]!;
  }
}

/** Offset of a weight of w8: strip after strip, block after block, row after row. */
function byteOfW8(columns: number, row: number, column: number): number {
  const block = Math.floor(row / STRIP_ROWS) * blocksOf(columns) + Math.floor(column / BLOCK_COLUMNS);
  return (block * STRIP_ROWS + (row % STRIP_ROWS)) * BLOCK_COLUMNS + (column % BLOCK_COLUMNS);
}

function packW8(matrix: QuantizedMatrix, out: Uint8Array): void {
  const { rows, columns, integers } = matrix;
  for (let row = 0; row < rows; row++) {
    for (let c = 0; c < columns; c++) out[byteOfW8(columns, row, c)] = integers[row * columns + c]!;
  }
}

const bytesOf = (view: ArrayBufferView) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

export const neonLayout: Layout = {
  name: 'columns32',
  code: 4,
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
    matrix.exponents.forEach((exponent, row) => {
      out[parts.exponents + exponentAt(row)] = exponent;
    });
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
        const at = tileAt(format, columns, row) + quadAt(format, column) + (row % VECTOR);
        const stored = fieldsOfRow(format, row)[column % 4]!.reduce(
          (sum, { from, mask, i, to }) => sum | (((section[at + VECTOR * i]! >> to) & mask) << from),
          0,
        );
        return stored - 2 ** (bits - 1);
      },
      subScale: (row, group) =>
        view.getInt8(tileAt(format, columns, row) + groupAt(format, group * GROUP) + (row % ROW_TILE)),
      mantissa: (row) => view.getInt32(parts.mantissas + 4 * row, true),
      exponent: (row) => view.getUint8(parts.exponents + exponentAt(row)),
    };
  },
};

/** EM_PREPARED_BYTES: 16 bytes of what accumulators start with, for each group. */
export function neonPreparedBytes(columns: number): number {
  return alignUp(groupsPerRow(columns) * 16);
}
