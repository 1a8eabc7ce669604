import { basename, resolve } from 'node:path';
import { EmbedError } from '../diagnostics/error.js';
import type { Checkpoint, TensorInfo } from './checkpoint.js';
import type { DecoderConfig } from './config.js';
import type { FileSet } from './file-set.js';
import type { WeightGrid } from './prequantized/weight-grid.js';
import { infoOf, type TensorEntry } from './tensor-entry.js';

/** A checkpoint whose tensors lie in open files, under the names by which they are asked for. */
export class FileCheckpoint implements Checkpoint {
  readonly name: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;

  constructor(
    readonly path: string,
    readonly format: Checkpoint['format'],
    readonly formatText: string,
    readonly config: DecoderConfig,
    private readonly entries: ReadonlyMap<string, TensorEntry>,
    private readonly files: FileSet,
  ) {
    this.name = basename(resolve(path));
    this.tensors = new Map([...entries].map(([name, entry]) => [name, infoOf(entry)]));
  }

  readRows(name: string, firstRow: number, rowCount: number): Float32Array {
    const entry = this.entries.get(name);
    if (!entry) throw new EmbedError('EM1015', { where: this.path, why: `there is no tensor ${name}` });
    return entry.readRows(firstRow, rowCount);
  }

  gridOf(name: string): WeightGrid | undefined {
    return this.entries.get(name)?.grid?.();
  }

  sha256(): string {
    return this.files.sha256();
  }

  close(): void {
    this.files.close();
  }
}
