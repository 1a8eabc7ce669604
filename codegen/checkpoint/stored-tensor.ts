import { EmbedError } from '../diagnostics/error.js';
import type { BoundedFile } from './bounded-file.js';
import type { TensorInfo } from './checkpoint.js';
import { decodeFloats, elementBytes } from './float-decoding.js';

const chunkElements = 1 << 19;

/** A tensor and where its elements lie: row-major and little-endian from byte `offset` of `file`. */
export interface StoredTensor {
  readonly info: TensorInfo;
  readonly file: BoundedFile;
  readonly offset: number;
  /** The stored row that is row r of the tensor, for files whose rows stand in another order. */
  readonly storedRow?: (row: number) => number;
}

/** [rows, columns] of a tensor; a vector counts as one row a value. */
export function rowsAndColumns(shape: readonly number[]): [number, number] {
  return [shape[0] ?? 1, shape.slice(1).reduce((product, dimension) => product * dimension, 1)];
}

/**
 * Rows [firstRow, firstRow + rowCount) as float32, row-major. Reads those bytes and no others, at most 1 MiB
 * beside the result at a time. Throws EM1010 for NaN and infinite values, EM1001 when the file cannot be
 * read, RangeError for rows the tensor does not have.
 */
export function readStoredRows(tensor: StoredTensor, firstRow: number, rowCount: number): Float32Array {
  const { info, offset, storedRow } = tensor;
  const [rows, columns] = rowsAndColumns(info.shape);
  if (!(Number.isInteger(firstRow) && Number.isInteger(rowCount) && firstRow >= 0 && rowCount >= 0)) {
    throw new RangeError(`${info.name}: rows ${firstRow} + ${rowCount} are not whole numbers`);
  }
  if (firstRow + rowCount > rows) {
    throw new RangeError(`${info.name}: rows ${firstRow} to ${firstRow + rowCount} of ${rows}`);
  }
  const out = new Float32Array(rowCount * columns);
  const rowBytes = columns * elementBytes[info.dtype];
  if (storedRow === undefined) {
    readElements(tensor, offset + firstRow * rowBytes, firstRow * columns, out);
  } else {
    for (let i = 0; i < rowCount; i++) {
      const row = firstRow + i;
      const into = out.subarray(i * columns, (i + 1) * columns);
      readElements(tensor, offset + storedRow(row) * rowBytes, row * columns, into);
    }
  }
  return out;
}

/**
 * Fills `out` from byte `offset`; `firstIndex` is the index in the tensor of its first element, for messages.
 */
function readElements(tensor: StoredTensor, offset: number, firstIndex: number, out: Float32Array): void {
  const { info, file } = tensor;
  const size = elementBytes[info.dtype];
  const scratch = size === 4 ? null : new Uint8Array(Math.min(chunkElements, out.length) * size);
  for (let start = 0; start < out.length; start += chunkElements) {
    const part = out.subarray(start, start + chunkElements);
    const bytes =
      scratch?.subarray(0, part.length * size) ??
      new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
    file.read(offset + start * size, bytes);
    const bad = decodeFloats(info.dtype, bytes, part);
    if (bad >= 0) throw nonFinite(tensor, firstIndex + start + bad, part[bad]!);
  }
}

function nonFinite(tensor: StoredTensor, index: number, value: number): EmbedError {
  const [, columns] = rowsAndColumns(tensor.info.shape);
  const place =
    tensor.info.shape.length === 1
      ? `element ${index}`
      : `element ${index} (row ${Math.floor(index / columns)}, column ${index % columns})`;
  return new EmbedError('EM1010', {
    where: `${tensor.file.path}, ${tensor.info.name}`,
    why: `${place} is ${value}`,
  });
}
