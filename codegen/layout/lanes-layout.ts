/** Layout "lanes": words of four rows in 16-bit lanes, as templates/kernels/swar/*.h document it. */
import { EmbedError } from '../diagnostics/error.js';
import { type FormatName, formats, GROUP, groupsPerRow } from '../quantize/format.js';
import type { QuantizedMatrix } from '../quantize/matrix.js';
import { alignUp } from './blob-header.js';
import type { Layout } from './kernel-set.js';
import { proveAccumulator } from './prove-accumulator.js';
import { openRowScales, packRowScales, rowScaleBytes } from './row-scale-words.js';

/** A run of bits of a stored integer, and where in the lanes of a block it lies. */
interface Piece {
  /** Word of columns within the block. */
  readonly word: number;
  /** Lowest bit within the lane. */
  readonly bit: number;
  readonly width: number;
  /** Lowest bit within the stored integer. */
  readonly from: number;
}

/** How the integers of a format lie in a tile. */
interface TileShape {
  readonly rows: number;
  /** Columns of a block, and words of columns that it takes. */
  readonly columns: number;
  readonly words: number;
  /** Columns are filled up to a multiple of this. */
  readonly padding: number;
  /** Lane of each of the four rows of a word. */
  readonly lanes: readonly [number, number, number, number];
  /** Pieces of each column of a block. */
  readonly pieces: readonly (readonly Piece[])[];
}

const inOrder = [0, 1, 2, 3] as const;
/** Even and odd lanes are taken apart: rows 0 and 1 in the even ones. */
const evenFirst = [0, 2, 1, 3] as const;

const field = (word: number, bit: number, width: number, from = 0): Piece => ({ word, bit, width, from });
const fields = (count: number, place: (column: number) => Piece) =>
  Array.from({ length: count }, (_, column) => [place(column)]);

const shapes: Readonly<Partial<Record<FormatName, TileShape>>> = {
  w4: {
    rows: 32,
    columns: 4,
    words: 1,
    padding: GROUP,
    lanes: inOrder,
    pieces: fields(4, (column) => field(0, 4 * column, 4)),
  },
  w5: {
    rows: 32,
    columns: 16,
    words: 5,
    padding: GROUP,
    lanes: inOrder,
    pieces: [
      ...fields(15, (column) => field(Math.floor(column / 3), 5 * (column % 3), 5)),
      Array.from({ length: 5 }, (_, word) => field(word, 15, 1, word)),
    ],
  },
  w6: {
    rows: 16,
    columns: 8,
    words: 3,
    padding: GROUP,
    lanes: evenFirst,
    pieces: [
      ...fields(6, (column) => field(column >> 1, 10 * (column & 1), 6)),
      [field(0, 6, 4), field(2, 6, 2, 4)],
      [field(1, 6, 4), field(2, 8, 2, 4)],
    ],
  },
  w8: {
    rows: 16,
    columns: 2,
    words: 1,
    padding: 4,
    lanes: evenFirst,
    pieces: fields(2, (column) => field(0, 8 * column, 8)),
  },
};

/** The shape of a format; w16 has none, its rows lie one after the other. */
function shapeOf(format: FormatName): TileShape | undefined {
  return format === 'w8t' ? shapes.w8 : shapes[format];
}

const offsetOf = (format: FormatName) => 2 ** (formats[format].bits - 1);
const blocksPerRow = (shape: TileShape, columns: number) =>
  (Math.ceil(columns / shape.padding) * shape.padding) / shape.columns;
const tileBytes = (shape: TileShape, columns: number) =>
  blocksPerRow(shape, columns) * shape.words * shape.rows * 2;

/** Offsets of the parts of a section. */
function partsOf(format: FormatName, rows: number, columns: number) {
  const shape = shapeOf(format);
  const tileRows = shape?.rows ?? 1;
  const tiles = Math.ceil(rows / tileRows);
  const weights = shape === undefined ? rows * columns * 2 : tiles * tileBytes(shape, columns);
  const subScales = alignUp(weights);
  const storedRows = tiles * tileRows;
  const scales = subScales + alignUp(formats[format].grouped ? storedRows * groupsPerRow(columns) : 0);
  return { subScales, scales, end: scales + rowScaleBytes(storedRows) };
}

/** Byte offset, in the weights, of the lane of a word of columns of a block that belongs to a row. */
function laneOffset(shape: TileShape, columns: number, row: number, block: number, word: number): number {
  const tile = Math.floor(row / shape.rows) * tileBytes(shape, columns);
  const r = row % shape.rows;
  const words = (block * shape.words + word) * (shape.rows / 4) + (r >> 2);
  return tile + words * 8 + shape.lanes[r & 3]! * 2;
}

/** Place of a row's sub-scale of a group among the sub-scales. */
function subScaleOffset(shape: TileShape, columns: number, row: number, group: number): number {
  const tile = Math.floor(row / shape.rows);
  return (tile * groupsPerRow(columns) + group) * shape.rows + (row % shape.rows);
}

/** The lanes of one row: `stored(column)` for every column, those that fill up the last block included. */
function packRow(
  shape: TileShape,
  columns: number,
  row: number,
  stored: (c: number) => number,
  out: DataView,
) {
  const lanes = new Uint16Array(shape.words);
  for (let block = 0; block < blocksPerRow(shape, columns); block++) {
    lanes.fill(0);
    shape.pieces.forEach((pieces, i) => {
      const value = stored(block * shape.columns + i);
      for (const { word, bit, width, from } of pieces)
        lanes[word] = lanes[word]! | (((value >> from) & (2 ** width - 1)) << bit);
    });
    lanes.forEach((lane, word) => {
      out.setUint16(laneOffset(shape, columns, row, block, word), lane, true);
    });
  }
}

/** The stored integer of a row and column. */
function storedAt(shape: TileShape, columns: number, row: number, column: number, section: DataView): number {
  const block = Math.floor(column / shape.columns);
  let stored = 0;
  for (const { word, bit, width, from } of shape.pieces[column % shape.columns]!) {
    const lane = section.getUint16(laneOffset(shape, columns, row, block, word), true);
    stored |= ((lane >> bit) & (2 ** width - 1)) << from;
  }
  return stored;
}

/** Weights and sub-scales of a format in tiles, rows that fill up the last tile included. */
function packTiles(matrix: QuantizedMatrix, shape: TileShape, out: DataView, subScales: number): void {
  const { format, rows, columns, integers } = matrix;
  const offset = offsetOf(format);
  const groups = groupsPerRow(columns);
  for (let row = 0; row < Math.ceil(rows / shape.rows) * shape.rows; row++) {
    const stored = (c: number) => offset + (row < rows && c < columns ? integers[row * columns + c]! : 0);
    packRow(shape, columns, row, stored, out);
    if (matrix.subScales === null || row >= rows) continue;
    for (let group = 0; group < groups; group++) {
      const at = subScales + subScaleOffset(shape, columns, row, group);
      out.setInt8(at, matrix.subScales[row * groups + group]!);
    }
  }
}

/** Columns of w8 whose pairs, each less than 2^16, fit a lane of 32 bits. */
const W8_COLUMNS = 131_072;

/**
 * The proof that nothing overflows. Lanes of 16 bits cannot, for all weights of a format (productsPerInt16); lanes of 32 bits
 * hold so many columns of w8; sums of grouped and 16-bit rows are int64, of 8-bit rows int32.
 */
function proveBounds(matrix: QuantizedMatrix): void {
  const { name, format, columns } = matrix;
  const eight = formats[format].bits === 8;
  if (eight && columns > W8_COLUMNS)
    throw new EmbedError('EM2003', {
      where: name,
      why: `${columns} columns, its kernels take at most ${W8_COLUMNS}`,
    });
  proveAccumulator(matrix, eight ? 2 ** 31 : 2 ** 62);
}

/** Bytes of starts for a group of 32 columns: struct em_group_starts and a word for each pair of columns, in em_prepare.h. */
const START_BYTES = 192;

/** EM_PREPARED_BYTES of templates/kernels/swar/em_prepare.h. */
export function lanesPreparedBytes(columns: number): number {
  return groupsPerRow(columns) * START_BYTES;
}

const bytesOf = (view: ArrayBufferView) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

export const lanesLayout: Layout = {
  name: 'lanes',
  code: 7,
  sectionBytes: (format, rows, columns) => partsOf(format, rows, columns).end,
  pack(matrix) {
    proveBounds(matrix);
    const { format, rows, columns } = matrix;
    const parts = partsOf(format, rows, columns);
    const out = new Uint8Array(parts.end);
    const shape = shapeOf(format);
    if (shape === undefined) out.set(bytesOf(matrix.integers), 0);
    else packTiles(matrix, shape, new DataView(out.buffer), parts.subScales);
    packRowScales(matrix, out.subarray(parts.scales));
    return out;
  },
  open(section, { format, rows, columns, leastExponent }) {
    const view = new DataView(section.buffer, section.byteOffset, section.byteLength);
    const shape = shapeOf(format);
    const parts = partsOf(format, rows, columns);
    return {
      integer: (row, column) =>
        shape === undefined
          ? view.getInt16(2 * (row * columns + column), true)
          : storedAt(shape, columns, row, column, view) - offsetOf(format),
      subScale: (row, group) => view.getInt8(parts.subScales + subScaleOffset(shape!, columns, row, group)),
      ...openRowScales(view, parts.scales, leastExponent),
    };
  },
};
