import { closeSync, fstatSync, openSync, readSync, type Stats, statSync } from 'node:fs';
import { basename } from 'node:path';
import { EmbedError } from '../diagnostics/error.js';

/**
 * A file of known size that is read by position, never as a whole unless the caller bounds it.
 * Only regular files are opened: a pipe or a device would block or never end.
 */
export class BoundedFile {
  readonly path: string;
  readonly name: string;
  /** Bytes, as they were when the file was opened. */
  readonly size: number;
  private handle: number | null;

  private constructor(path: string, size: number, handle: number) {
    this.path = path;
    this.name = basename(path);
    this.size = size;
    this.handle = handle;
  }

  /** Throws EM1001 when the file is absent, not regular or not readable. */
  static open(path: string): BoundedFile {
    // Looked at before it is opened, because opening a named pipe waits for a writer.
    requireRegular(
      path,
      attempt(path, () => statSync(path)),
    );
    const handle = attempt(path, () => openSync(path, 'r'));
    return new BoundedFile(path, attempt(path, () => fstatSync(handle)).size, handle);
  }

  /** Fills `into` from byte `offset`. Throws EM1001 when the file cannot be read or ends before that. */
  read(offset: number, into: Uint8Array): void {
    const { handle } = this;
    if (handle === null) throw new EmbedError('EM1001', { where: this.path, why: 'the file was closed' });
    let done = 0;
    while (done < into.byteLength) {
      const got = attempt(this.path, () =>
        readSync(handle, into, done, into.byteLength - done, offset + done),
      );
      if (got === 0) {
        throw new EmbedError('EM1001', {
          where: this.path,
          why: `ends at byte ${offset + done}, ${into.byteLength - done} bytes short of what is read`,
        });
      }
      done += got;
    }
  }

  close(): void {
    if (this.handle === null) return;
    closeSync(this.handle);
    this.handle = null;
  }
}

function requireRegular(path: string, stats: Stats): void {
  if (!stats.isFile()) throw new EmbedError('EM1001', { where: path, why: 'not a regular file' });
}

function attempt<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    throw new EmbedError('EM1001', { where: path, why: reasonOf(cause), cause });
  }
}

/** What the operating system said, without the path that Node appends. */
function reasonOf(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'no such file';
  if (code === 'EACCES' || code === 'EPERM') return 'no permission to read it';
  if (code === 'EMFILE' || code === 'ENFILE') return 'too many open files';
  return cause instanceof Error ? cause.message : String(cause);
}
