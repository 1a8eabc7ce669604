/** Reader of what em-run --trace writes (templates/runner/trace.h), one op's output at a time. */
import { closeSync, openSync, readSync } from 'node:fs';
import { EmbedError } from '../codegen/diagnostics/error.js';

/** Output of an op at a position. */
export interface TraceEntry {
  /** -1 outside the layers. */
  readonly layer: number;
  /** Index of the op in its section, as the manifest counts them. */
  readonly op: number;
  readonly position: number;
  readonly values: Int32Array;
}

const HEAD_BYTES = 16;

export class TraceReader {
  readonly #handle: number;

  /** Throws EM3207 where the file cannot be read. */
  constructor(readonly path: string) {
    try {
      this.#handle = openSync(path, 'r');
    } catch (cause) {
      throw this.#damaged(cause instanceof Error ? cause.message : String(cause), cause);
    }
  }

  /**
   * The next entry, or null at the end. Its values are `width` numbers, as the caller knows of the op that comes next: what the
   * file says of itself is checked, not trusted. Throws EM3207.
   */
  next(width: number): TraceEntry | null {
    const head = new Int32Array(HEAD_BYTES / 4);
    const read = this.#fill(new Uint8Array(head.buffer));
    if (read === 0) return null;
    if (read < HEAD_BYTES) throw this.#damaged('it ends within an entry');
    const [layer, op, position, count] = head;
    if (count !== width) throw this.#damaged(`op ${op} of layer ${layer} has ${count} values, not ${width}`);
    const values = new Int32Array(width);
    if (this.#fill(new Uint8Array(values.buffer)) < values.byteLength) {
      throw this.#damaged('it ends within an entry');
    }
    return { layer: layer!, op: op!, position: position!, values };
  }

  close(): void {
    closeSync(this.#handle);
  }

  /** Reads until the bytes are full or the file ends; returns how many were read. */
  #fill(bytes: Uint8Array): number {
    let done = 0;
    for (let read = -1; done < bytes.length && read !== 0; done += read) {
      read = readSync(this.#handle, bytes, done, bytes.length - done, null);
    }
    return done;
  }

  #damaged(why: string, cause?: unknown): EmbedError {
    return new EmbedError('EM3207', { where: this.path, why, cause });
  }
}
