/** Layout "rows": row after row, as templates/kernels/portable/em_linear.h documents it. */
import { type FormatName, formats, GROUP, groupsPerRow } from '../quantize/format.js';
import type { QuantizedMatrix } from '../quantize/matrix.js';
import { alignUp } from './blob-header.js';
import type { Layout } from './kernel-set.js';
import { proveAccumulator } from './prove-accumulator.js';
import { openRowScales, packRowScales, rowScaleBytes } from './row-scale-words.js';

/** Bytes of a group: 16 of low nibbles and 4 for every bit above the fourth. */
const groupBytes = (bits: number) => 16 + 4 * (bits - 4);

function rowBytes(format: FormatName, columns: number): number {
  const { bits, grouped } = formats[format];
  return grouped ? groupsPerRow(columns) * groupBytes(bits) : (columns * bits) / 8;
}

/** Offsets of the parts of a section. */
function partsOf(format: FormatName, rows: number, columns: number) {
  const subScales = alignUp(rows * rowBytes(format, columns));
  const scales = subScales + alignUp(formats[format].grouped ? rows * groupsPerRow(columns) : 0);
  return { subScales, scales, end: scales + rowScaleBytes(rows) };
}

/** Stores the integers of one group, offset to be non-negative, columns beyond the row's end as zero weights. */
function packGroup(stored: Uint8Array, bits: number, out: Uint8Array, at: number): void {
  for (let i = 0; i < 16; i++) out[at + i] = (stored[i]! & 15) | ((stored[16 + i]! & 15) << 4);
  for (let plane = 0; plane < bits - 4; plane++) {
    for (let i = 0; i < GROUP; i++) {
      const bit = (stored[i]! >> (4 + plane)) & 1;
      const byte = at + 16 + 4 * plane + (i >> 3);
      out[byte] = out[byte]! | (bit << (i & 7));
    }
  }
}

function packGroupedRow(matrix: QuantizedMatrix, row: number, out: Uint8Array, at: number): void {
  const { bits } = formats[matrix.format];
  const offset = 2 ** (bits - 1);
  const stored = new Uint8Array(GROUP);
  for (let group = 0; group < groupsPerRow(matrix.columns); group++) {
    for (let i = 0; i < GROUP; i++) {
      const column = group * GROUP + i;
      const q = column < matrix.columns ? matrix.integers[row * matrix.columns + column]! : 0;
      stored[i] = q + offset;
    }
    packGroup(stored, bits, out, at + group * groupBytes(bits));
  }
}

/** The stored integer of a column of the grouped row whose bytes begin at `at`. */
function groupedInteger(section: Uint8Array, bits: number, at: number, column: number): number {
  const i = column % GROUP;
  const group = at + Math.floor(column / GROUP) * groupBytes(bits);
  let stored = i < 16 ? section[group + i]! & 15 : section[group + i - 16]! >> 4;
  for (let plane = 0; plane < bits - 4; plane++) {
    stored |= ((section[group + 16 + 4 * plane + (i >> 3)]! >> (i & 7)) & 1) << (4 + plane);
  }
  return stored - 2 ** (bits - 1);
}

const bytesOf = (view: ArrayBufferView) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

export const rowsLayout: Layout = {
  name: 'rows',
  code: 5,
  sectionBytes: (format, rows, columns) => partsOf(format, rows, columns).end,
  pack(matrix) {
    // Kernels of this layout sum rows in int64, and 8-bit rows in int32.
    proveAccumulator(matrix, formats[matrix.format].bits === 8 ? 2 ** 31 : 2 ** 62);
    const { format, rows, columns, integers, subScales } = matrix;
    const parts = partsOf(format, rows, columns);
    const out = new Uint8Array(parts.end);
    if (subScales === null) {
      out.set(bytesOf(integers), 0);
    } else {
      const stride = rowBytes(format, columns);
      for (let row = 0; row < rows; row++) packGroupedRow(matrix, row, out, row * stride);
      out.set(bytesOf(subScales), parts.subScales);
    }
    packRowScales(matrix, out.subarray(parts.scales));
    return out;
  },
  open(section, { format, rows, columns, leastExponent }) {
    const view = new DataView(section.buffer, section.byteOffset, section.byteLength);
    const { bits, grouped } = formats[format];
    const stride = rowBytes(format, columns);
    const parts = partsOf(format, rows, columns);
    const plain = (row: number, column: number) =>
      bits === 16 ? view.getInt16(row * stride + 2 * column, true) : view.getInt8(row * stride + column);
    return {
      integer: grouped ? (row, column) => groupedInteger(section, bits, row * stride, column) : plain,
      subScale: (row, group) => view.getInt8(parts.subScales + row * groupsPerRow(columns) + group),
      ...openRowScales(view, parts.scales, leastExponent),
    };
  },
};
