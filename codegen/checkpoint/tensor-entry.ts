import { EmbedError } from '../diagnostics/error.js';
import type { BoundedFile } from './bounded-file.js';
import type { TensorInfo } from './checkpoint.js';
import type { WeightGrid } from './prequantized/weight-grid.js';
import { readStoredRows, type StoredTensor } from './stored-tensor.js';
import { isStoredDtype, isTensorDtype } from './tensor-types.js';

/**
 * A tensor that a file holds, however it stores it, before anyone knows whether the model needs it: it may be of
 * a type that cannot be read.
 */
export interface TensorEntry {
  readonly name: string;
  /** As the format names the type. */
  readonly dtype: string;
  /** Row-major, outermost dimension first. */
  readonly shape: readonly number[];
  /** The file, for messages. */
  readonly path: string;
  /** See TensorInfo. */
  readonly storedBytes?: number;
  /**
   * Rows [firstRow, firstRow + rowCount) as float32, row-major; a vector counts as one row a value. Throws
   * EM1014 for types that cannot be read, EM1010 for values that are NaN or infinite, EM1001 when the file
   * cannot be read, RangeError for rows that the tensor does not have.
   */
  readRows(firstRow: number, rowCount: number): Float32Array;
  /** For a matrix that is on an integer grid already. Throws what readRows throws. */
  readonly grid?: () => WeightGrid;
}

/** The entry of a tensor whose elements lie row-major at byte `offset` of `file`. */
export function storedEntry(
  file: BoundedFile,
  tensor: { readonly name: string; readonly dtype: string; readonly shape: readonly number[] },
  offset: number,
  storedRow?: StoredTensor['storedRow'],
): TensorEntry {
  const { name, dtype, shape } = tensor;
  const order = storedRow === undefined ? {} : { storedRow };
  return {
    name,
    dtype,
    shape,
    path: file.path,
    readRows(firstRow, rowCount) {
      if (!isStoredDtype(dtype)) throw unreadableType(file.path, name, dtype);
      return readStoredRows({ info: { name, dtype, shape }, file, offset, ...order }, firstRow, rowCount);
    },
  };
}

/** What is known of an entry that a model uses. Throws EM1014 for types that cannot be read. */
export function infoOf(entry: TensorEntry): TensorInfo {
  const { name, dtype, shape, storedBytes } = entry;
  if (!isTensorDtype(dtype)) throw unreadableType(entry.path, name, dtype);
  return storedBytes === undefined ? { name, dtype, shape } : { name, dtype, shape, storedBytes };
}

/** EM1014. */
export function unreadableType(path: string, name: string, dtype: string): EmbedError {
  const why = `dtype ${dtype}; weights are read as F32, F16, BF16 or F64`;
  return new EmbedError('EM1014', { where: `${path}, ${name}`, why });
}
