import { basename, resolve } from 'node:path';
import { EmbedError } from '../diagnostics/error.js';
import type { Checkpoint, TensorInfo } from './checkpoint.js';
import type { DecoderConfig } from './config.js';
import type { FileSet } from './file-set.js';
import { readStoredRows, type StoredTensor } from './stored-tensor.js';

/** A checkpoint whose tensors lie in open files. */
export class FileCheckpoint implements Checkpoint {
  readonly name: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;

  constructor(
    readonly path: string,
    readonly format: Checkpoint['format'],
    readonly config: DecoderConfig,
    private readonly stored: ReadonlyMap<string, StoredTensor>,
    private readonly files: FileSet,
  ) {
    this.name = basename(resolve(path));
    this.tensors = new Map([...stored].map(([name, tensor]) => [name, tensor.info]));
  }

  readRows(name: string, firstRow: number, rowCount: number): Float32Array {
    const tensor = this.stored.get(name);
    if (!tensor) throw new EmbedError('EM1015', { where: this.path, why: `there is no tensor ${name}` });
    return readStoredRows(tensor, firstRow, rowCount);
  }

  sha256(): string {
    return this.files.sha256();
  }

  close(): void {
    this.files.close();
  }
}
