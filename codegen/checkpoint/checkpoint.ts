/** What every checkpoint reader gives the rest of the tool: named tensors behind bounds-checked, bounded reads. */
import type { DecoderConfig } from './config.js';

/** Element types found in checkpoints that can be read as float32 without loss beyond the type itself. */
export type TensorDtype = 'F32' | 'F16' | 'BF16';

export interface TensorInfo {
  /** Name by the Hugging Face convention of the model family, whatever the file calls it. */
  readonly name: string;
  readonly dtype: TensorDtype;
  /** Row-major, outermost dimension first. */
  readonly shape: readonly number[];
}

export interface Checkpoint<C extends DecoderConfig = DecoderConfig> {
  /** The path that was given, for messages. */
  readonly path: string;
  readonly format: 'huggingface' | 'llama2c';
  /** A short name for reports: the folder's or file's base name. */
  readonly name: string;
  readonly config: C;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /**
   * Rows [firstRow, firstRow + rowCount) of a tensor as float32, row-major; a vector counts as one row a value.
   * Reads no more than those bytes. Values that are NaN or infinite throw EM1010 with tensor and index.
   */
  readRows(name: string, firstRow: number, rowCount: number): Float32Array;
  /** SHA-256 (hex) over config and weight files in a fixed order: the model hash of the manifest. */
  sha256(): string;
  /** Releases the file handles. */
  close(): void;
}
