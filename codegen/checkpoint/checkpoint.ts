/** What every checkpoint reader gives the rest of the tool: named tensors behind bounds-checked, bounded reads. */
import type { DecoderConfig } from './config.js';
import type { WeightGrid } from './prequantized/weight-grid.js';
import type { TensorDtype } from './tensor-types.js';

export type { TensorDtype } from './tensor-types.js';

/** The formats of checkpoints, as inspect and the JSON records name them. */
export type CheckpointFormat = 'huggingface' | 'llama2c' | 'pytorch' | 'gguf' | 'crystal';

export interface TensorInfo {
  /** Name by the Hugging Face convention of the model family, whatever the file calls it. */
  readonly name: string;
  readonly dtype: TensorDtype;
  /** Row-major, outermost dimension first. */
  readonly shape: readonly number[];
  /** Bytes in the file where type and shape do not say it: of codes, scales and offsets together. */
  readonly storedBytes?: number;
}

export interface Checkpoint<C extends DecoderConfig = DecoderConfig> {
  /** The path that was given, for messages. */
  readonly path: string;
  readonly format: CheckpointFormat;
  /** The format in words, with its version. */
  readonly formatText: string;
  /** A short name for reports: the folder's or file's base name. */
  readonly name: string;
  readonly config: C;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /**
   * Rows [firstRow, firstRow + rowCount) of a tensor as float32, row-major; a vector counts as one row a value.
   * Reads no more than those bytes. Values that are NaN or infinite throw EM1010 with tensor and index.
   */
  readRows(name: string, firstRow: number, rowCount: number): Float32Array;
  /**
   * The integer grid that a matrix is on already, where the checkpoint was quantized before; undefined elsewhere.
   * Large: a grid is held until that of another matrix is asked for.
   */
  readonly gridOf?: (name: string) => WeightGrid | undefined;
  /** SHA-256 (hex) over config and weight files in a fixed order: the model hash of the manifest. */
  sha256(): string;
  /** What is in doubt about the weights though the file can be read, a sentence each. */
  readonly warnings?: readonly string[];
  /** Releases the file handles. */
  close(): void;
}
