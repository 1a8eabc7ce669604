/** Tensors by the names of a family, each a part of a tensor of the file, perhaps transposed. */
import type { Checkpoint, TensorInfo } from './checkpoint.js';
import type { DecoderConfig } from './config.js';
import { rowsAndColumns } from './stored-tensor.js';
import { readableDtype, type TensorSource } from './tensor-source.js';

export interface TensorView {
  /** Name in the source. */
  readonly tensor: string;
  /** [rows, columns] or [length], after transposing. */
  readonly shape: readonly number[];
  /** Whether rows of the view are columns of the source's tensor. */
  readonly transposed: boolean;
  /** First row of the source's tensor, or column where it is transposed. */
  readonly first: number;
}

/** A whole tensor as it stands. */
export function wholeView(source: TensorSource, tensor: string): TensorView {
  return { tensor, shape: source.tensors.get(tensor)!.shape, transposed: false, first: 0 };
}

/** Elements of a source that are read at a time to be transposed. */
const ELEMENTS_AT_A_TIME = 1 << 20;

/** Rows [firstRow, firstRow + count) of a transposed view: columns of the source, which is read in whole rows. */
function transposedRows(
  source: TensorSource,
  view: TensorView,
  firstRow: number,
  count: number,
): Float32Array {
  const [rows, columns] = rowsAndColumns(source.tensors.get(view.tensor)!.shape);
  const out = new Float32Array(count * rows);
  const step = Math.max(1, Math.floor(ELEMENTS_AT_A_TIME / columns));
  for (let first = 0; first < rows; first += step) {
    const part = source.readRows(view.tensor, first, Math.min(step, rows - first));
    const partRows = part.length / columns;
    for (let r = 0; r < count; r++) {
      const from = view.first + firstRow + r;
      for (let i = 0; i < partRows; i++) out[r * rows + first + i] = part[i * columns + from]!;
    }
  }
  return out;
}

/** What identifies the files of a checkpoint and releases them: see Checkpoint. */
export interface CheckpointFiles {
  sha256(): string;
  close(): void;
}

/** The share of a view in the bytes of its tensor, where type and shape do not say it. */
function storedPart(
  source: TensorSource,
  tensor: string,
  shape: readonly number[],
): { storedBytes?: number } {
  const { shape: whole, storedBytes } = source.tensors.get(tensor)!;
  if (storedBytes === undefined) return {};
  const [elements, all] = [shape, whole].map((sizes) => sizes.reduce((product, size) => product * size, 1));
  return { storedBytes: Math.round((storedBytes * elements!) / all!) };
}

/** A checkpoint whose tensors are views of a source's. */
export class ViewedCheckpoint<C extends DecoderConfig> implements Checkpoint<C> {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** The transposed tensor that was read last: matrices are read in blocks, each of which needs all of the source. */
  private held: { readonly name: string; readonly values: Float32Array } | null = null;

  /** Throws EM1014 for a view of a tensor whose type is not read. */
  constructor(
    readonly path: string,
    readonly name: string,
    readonly format: Checkpoint['format'],
    readonly formatText: string,
    readonly config: C,
    private readonly source: TensorSource,
    private readonly views: ReadonlyMap<string, TensorView>,
    private readonly files: CheckpointFiles,
    readonly warnings: readonly string[] = [],
  ) {
    this.tensors = new Map(
      [...views].map(([view, { tensor, shape }]) => [
        view,
        { name: view, dtype: readableDtype(source, tensor), shape, ...storedPart(source, tensor, shape) },
      ]),
    );
  }

  readRows(name: string, firstRow: number, rowCount: number): Float32Array {
    const view = this.views.get(name);
    if (view === undefined) throw new Error(`${this.path} has no tensor ${name}`);
    const [rows, columns] = rowsAndColumns(view.shape);
    if (firstRow < 0 || rowCount < 0 || firstRow + rowCount > rows)
      throw new RangeError(`${name}: rows ${firstRow} to ${firstRow + rowCount} of ${rows}`);
    if (!view.transposed) return this.source.readRows(view.tensor, view.first + firstRow, rowCount);
    if (rows * columns > LARGEST_HELD) return transposedRows(this.source, view, firstRow, rowCount);
    if (this.held?.name !== name) this.held = { name, values: transposedRows(this.source, view, 0, rows) };
    return this.held.values.slice(firstRow * columns, (firstRow + rowCount) * columns);
  }

  sha256(): string {
    return this.files.sha256();
  }

  close(): void {
    this.held = null;
    this.files.close();
  }
}

/** Elements of a transposed tensor that are held: 64 MB. Larger ones are read again for each block. */
const LARGEST_HELD = 1 << 24;
