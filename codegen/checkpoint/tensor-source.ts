/** The tensors of a checkpoint as its files have them, before a family gives them their places. */
import { unreadableType } from './tensor-entry.js';
import { isTensorDtype, type TensorDtype } from './tensor-types.js';

export interface SourceTensor {
  /** The file's own name of the type, whether or not it can be read as float32. */
  readonly dtype: string;
  /** Row-major, outermost dimension first. */
  readonly shape: readonly number[];
  /** See TensorInfo. */
  readonly storedBytes?: number;
}

export interface TensorSource {
  /** The file or folder, for messages. */
  readonly where: string;
  /** All tensors by the names of the file. */
  readonly tensors: ReadonlyMap<string, SourceTensor>;
  /** As Checkpoint.readRows, for tensors of a type that can be read. */
  readRows(name: string, firstRow: number, rowCount: number): Float32Array;
}

/** The type of a tensor that is needed. Throws EM1014 for types that are not read. */
export function readableDtype(source: TensorSource, name: string): TensorDtype {
  const { dtype } = source.tensors.get(name)!;
  if (isTensorDtype(dtype)) return dtype;
  throw unreadableType(source.where, name, dtype);
}
