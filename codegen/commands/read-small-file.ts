/** Reads a file that should be small and may be anything. */
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import type { DiagnosticCode } from '../diagnostics/catalog.js';
import { EmbedError } from '../diagnostics/error.js';

/**
 * The whole file. Throws `code` where it is no regular file, cannot be read, or has more than `mostBytes`.
 */
export function readSmallFile(path: string, mostBytes: number, code: DiagnosticCode): Uint8Array {
  const refuse = (why: string, cause?: unknown) => new EmbedError(code, { where: path, why, cause });
  let handle: number | undefined;
  try {
    // Looked at before it is opened, because opening a named pipe waits for a writer.
    if (!statSync(path).isFile()) throw refuse('it is not a regular file');
    handle = openSync(path, 'r');
    const { size } = fstatSync(handle);
    if (size > mostBytes) throw refuse(`it has ${size} bytes; at most ${mostBytes} are read`);
    const bytes = new Uint8Array(size);
    let done = 0;
    for (let got = 1; got > 0 && done < size; done += got)
      got = readSync(handle, bytes, done, size - done, done);
    return bytes.subarray(0, done);
  } catch (cause) {
    if (cause instanceof EmbedError) throw cause;
    const reason = (cause as NodeJS.ErrnoException).code;
    throw refuse(
      reason === 'ENOENT' ? 'there is no such file' : `it cannot be read (${reason ?? cause})`,
      cause,
    );
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
}
