/** Layout "tiles32": tiles of 32 rows, as templates/kernels/avx2/em_linear.h, em_grouped.h and em_w8.h document them. */
import { type FormatName, formats, GROUP, groupsPerRow } from '../quantize/format.js';
import { alignUp } from './blob-header.js';
import { type Place, ROW_TILE, tiledLayout } from './tiled-layout.js';

/** Columns are padded to multiples of this in w8: EM_W8_STEP quads. */
const W8_COLUMNS = 32;
/** Sub-scales of 32 rows for two groups. */
const SUB_SCALE_BYTES = 2 * ROW_TILE;

const pairsOf = (columns: number) => Math.ceil(groupsPerRow(columns) / 2);

/** Bytes of the weights of a group. */
const groupBytes = (format: FormatName) => GROUP * ROW_TILE * (formats[format].bits / 8);

function tileBytes(format: FormatName, columns: number): number {
  if (!formats[format].grouped) return Math.ceil(columns / W8_COLUMNS) * W8_COLUMNS * ROW_TILE;
  return pairsOf(columns) * SUB_SCALE_BYTES + groupsPerRow(columns) * groupBytes(format);
}

/** Offset of the pair of groups that a group is in. */
const pairAt = (format: FormatName, group: number) =>
  Math.floor(group / 2) * (SUB_SCALE_BYTES + 2 * groupBytes(format));

/** Whether the pair of a group lacks its second. */
const isSingle = (columns: number, group: number) =>
  Math.floor(group / 2) >= Math.floor(groupsPerRow(columns) / 2);

/** Two quads after another share vectors: columns 2q and 2q + 1 of both groups, or four columns of a single one. */
function placeOf(format: FormatName, columns: number, column: number): Place {
  const group = Math.floor(column / GROUP);
  const single = isSingle(columns, group);
  const c = column % GROUP;
  const quad = single ? c >> 2 : c >> 1;
  const inQuad = single ? c % 4 : 2 * (group % 2) + (c % 2);
  const byte = pairAt(format, group) + SUB_SCALE_BYTES + (quad >> 1) * (groupBytes(format) / 4) + inQuad;
  return { byte, vector: quad % 2 };
}

export const avx2Layout = tiledLayout({
  name: 'tiles32',
  code: 6,
  // Eight rows of four columns.
  vectorBytes: 32,
  tileBytes,
  placeOf,
  byteOfRow: (row) => 4 * (row % 8),
  vectorsOfRow: (row) => [row >> 3, 4 + (row >> 3)],
  subScalesOf(format, columns, group) {
    const pair = pairAt(format, group);
    return isSingle(columns, group) ? [pair, pair + 1] : [pair + (group % 2)];
  },
  subScaleStride: 2,
  // Quad after quad, in it row after row.
  byteOfW8(columns, row, column) {
    const tile = Math.floor(row / ROW_TILE) * tileBytes('w8', columns);
    return tile + (column >> 2) * 4 * ROW_TILE + 4 * (row % ROW_TILE) + (column % 4);
  },
});

/** EM_PREPARED_BYTES: 64 activations and 32 bytes of what accumulators start with, for two groups. */
export function avx2PreparedBytes(columns: number): number {
  return alignUp(pairsOf(columns) * 96);
}
