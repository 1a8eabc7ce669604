import { EmbedError } from '../diagnostics/error.js';
import type { BoundedFile } from './bounded-file.js';
import type { TensorInfo } from './checkpoint.js';
import { firstNonFinite } from './float-decoding.js';
import { type StoredDtype, tensorCodecs } from './tensor-types.js';

/** A multiple of the elements of every block. */
const chunkElements = 1 << 19;

/**
 * A tensor and where its elements lie: row-major and little-endian from byte `offset` of `file`; a row is
 * whole blocks of its type.
 */
export interface StoredTensor {
  readonly info: TensorInfo & { readonly dtype: StoredDtype };
  readonly file: BoundedFile;
  readonly offset: number;
  /** The stored row that is row r of the tensor, for files whose rows stand in another order. */
  readonly storedRow?: (row: number) => number;
}

/** [rows, columns] of a tensor; a vector counts as one row a value. */
export function rowsAndColumns(shape: readonly number[]): [number, number] {
  return [shape[0] ?? 1, shape.slice(1).reduce((product, dimension) => product * dimension, 1)];
}

/** Throws RangeError for rows that a tensor does not have: a mistake of the caller, not of the file. */
export function requireRows({ name, shape }: TensorInfo, firstRow: number, rowCount: number): void {
  const [rows] = rowsAndColumns(shape);
  if (!(Number.isInteger(firstRow) && Number.isInteger(rowCount) && firstRow >= 0 && rowCount >= 0)) {
    throw new RangeError(`${name}: rows ${firstRow} + ${rowCount} are not whole numbers`);
  }
  if (firstRow + rowCount > rows) {
    throw new RangeError(`${name}: rows ${firstRow} to ${firstRow + rowCount} of ${rows}`);
  }
}

/**
 * Rows [firstRow, firstRow + rowCount) as float32, row-major. Reads those bytes and no others, at most 1 MiB
 * beside the result at a time. Throws EM1010 for NaN and infinite values, EM1001 when the file cannot be
 * read, RangeError for rows the tensor does not have.
 */
export function readStoredRows(tensor: StoredTensor, firstRow: number, rowCount: number): Float32Array {
  const { info, offset, storedRow } = tensor;
  const [, columns] = rowsAndColumns(info.shape);
  requireRows(info, firstRow, rowCount);
  const out = new Float32Array(rowCount * columns);
  const rowBytes = bytesOf(info.dtype, columns);
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
  const { decode } = tensorCodecs[info.dtype];
  // float32 is read to where it belongs and decoded in place.
  const scratch =
    info.dtype === 'F32' ? null : new Uint8Array(bytesOf(info.dtype, Math.min(chunkElements, out.length)));
  for (let start = 0; start < out.length; start += chunkElements) {
    const part = out.subarray(start, start + chunkElements);
    const bytes =
      scratch?.subarray(0, bytesOf(info.dtype, part.length)) ??
      new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
    file.read(offset + bytesOf(info.dtype, start), bytes);
    decode(bytes, part);
    requireFinite(tensor.info, file.path, firstIndex + start, part);
  }
}

/** Bytes of whole blocks of a type. */
export function bytesOf(dtype: StoredDtype, elements: number): number {
  const codec = tensorCodecs[dtype];
  return (elements / codec.elements) * codec.bytes;
}

/** Throws EM1010 where one of the values, which begin with element `firstIndex`, is NaN or infinite. */
export function requireFinite(
  { name, shape }: TensorInfo,
  path: string,
  firstIndex: number,
  values: Float32Array,
): void {
  const bad = firstNonFinite(values);
  if (bad < 0) return;
  const index = firstIndex + bad;
  const [, columns] = rowsAndColumns(shape);
  const place =
    shape.length === 1
      ? `element ${index}`
      : `element ${index} (row ${Math.floor(index / columns)}, column ${index % columns})`;
  throw new EmbedError('EM1010', { where: `${path}, ${name}`, why: `${place} is ${values[bad]}` });
}
