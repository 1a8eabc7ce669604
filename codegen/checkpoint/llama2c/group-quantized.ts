import type { BoundedFile } from '../bounded-file.js';
import { storedRopeRow } from '../rope-row-order.js';
import { requireFinite, requireRows, rowsAndColumns } from '../stored-tensor.js';
import type { TensorEntry } from '../tensor-entry.js';
import type { PlacedTensor } from './tensor-order.js';

/**
 * A matrix of version 2: int8 codes of all elements, then a float32 scale for every `groupSize` of them. Groups
 * run on over the ends of rows, as hidden sizes need not be multiples of the group.
 */
export function groupQuantized(
  file: BoundedFile,
  { name, shape, paired }: PlacedTensor,
  headDim: number,
  groupSize: number,
  offset: number,
): TensorEntry {
  const [rows, columns] = rowsAndColumns(shape);
  const scalesAt = offset + rows * columns;
  const storedBytes = groupQuantizedBytes(rows * columns, groupSize);
  const info = { name, dtype: 'llama2.c Q8_0', shape, storedBytes } as const;

  const readRow = (row: number, out: Float32Array) => {
    const first = (paired ? storedRopeRow(row, headDim) : row) * columns;
    const codes = new Int8Array(columns);
    file.read(offset + first, new Uint8Array(codes.buffer));
    const firstGroup = Math.floor(first / groupSize);
    const groups = Math.floor((first + columns - 1) / groupSize) - firstGroup + 1;
    const scales = new Float32Array(groups);
    file.read(scalesAt + 4 * firstGroup, new Uint8Array(scales.buffer));
    for (let i = 0; i < columns; i++) {
      out[i] = codes[i]! * scales[Math.floor((first + i) / groupSize) - firstGroup]!;
    }
    requireFinite(info, file.path, row * columns, out);
  };
  return {
    ...info,
    path: file.path,
    readRows(firstRow, rowCount) {
      requireRows(info, firstRow, rowCount);
      const out = new Float32Array(rowCount * columns);
      for (let i = 0; i < rowCount; i++) readRow(firstRow + i, out.subarray(i * columns, (i + 1) * columns));
      return out;
    },
  };
}

/** Bytes of the codes and scales of a matrix. */
export function groupQuantizedBytes(elements: number, groupSize: number): number {
  return elements + 4 * (elements / groupSize);
}
