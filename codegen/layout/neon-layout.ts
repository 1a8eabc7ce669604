/** Layout "columns32": tiles of 32 rows, as templates/kernels/neon/em_linear.h, em_grouped.h and em_w8.h document them. */
import { type FormatName, formats, GROUP, groupsPerRow } from '../quantize/format.js';
import { alignUp } from './blob-header.js';
import { ROW_TILE, tiledLayout } from './tiled-layout.js';

/** Bytes of a vector: one column of sixteen rows. */
const VECTOR = 16;
/** EM_STRIP_ROWS and EM_BLOCK_COLUMNS of w8. */
const STRIP_ROWS = 8;
const BLOCK_COLUMNS = 32;

const blocksOf = (columns: number) => Math.ceil(columns / BLOCK_COLUMNS);

/** EM_GROUP_BYTES: sub-scales and weights of 32 rows and 32 columns. */
const groupBytes = (format: FormatName) => ROW_TILE + (GROUP * ROW_TILE * formats[format].bits) / 8;

export const neonLayout = tiledLayout({
  name: 'columns32',
  code: 8,
  vectorBytes: VECTOR,
  tileBytes(format, columns) {
    return formats[format].grouped
      ? groupsPerRow(columns) * groupBytes(format)
      : blocksOf(columns) * BLOCK_COLUMNS * ROW_TILE;
  },
  // Four columns after another share vectors.
  placeOf(format, _columns, column) {
    const group = Math.floor(column / GROUP) * groupBytes(format);
    const quad = ((column % GROUP) >> 2) * VECTOR * formats[format].bits;
    return { byte: group + ROW_TILE + quad, vector: column % 4 };
  },
  byteOfRow: (row) => row % VECTOR,
  vectorsOfRow: (row) => [0, 1, 2, 3].map((column) => 2 * column + (row >> 4)),
  subScalesOf: (format, _columns, group) => [group * groupBytes(format)],
  subScaleStride: 1,
  // Strip after strip, block after block, row after row.
  byteOfW8(columns, row, column) {
    const block = Math.floor(row / STRIP_ROWS) * blocksOf(columns) + Math.floor(column / BLOCK_COLUMNS);
    return (block * STRIP_ROWS + (row % STRIP_ROWS)) * BLOCK_COLUMNS + (column % BLOCK_COLUMNS);
  },
});

/** EM_PREPARED_BYTES: 16 bytes of what accumulators start with, for each group. */
export function neonPreparedBytes(columns: number): number {
  return alignUp(groupsPerRow(columns) * 16);
}
