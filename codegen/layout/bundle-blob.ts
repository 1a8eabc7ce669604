/** The blob of a bundle, wherever it lies: model.blob, or inside the program of a single-file bundle. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { EmbedError } from '../diagnostics/error.js';
import { BLOB_HEADER_BYTES, BLOB_MAGIC, headerField } from './blob-header.js';
import { type BlobSource, readBlob } from './blob-reader.js';

/** What readBlob reads. Throws EM1402 where the program cannot be read, EM1403 where it holds no blob. */
export function bundleBlob(bundle: string, { singleFile }: { readonly singleFile: boolean }): BlobSource {
  return singleFile ? embeddedBlob(join(bundle, 'bin', 'em-run')) : join(bundle, 'model.blob');
}

/** The bytes of a program that are a blob: header and table have the checksum that the header says. */
function embeddedBlob(path: string): Uint8Array {
  const program = readProgram(path);
  // The code that looks for the magic number may hold it as well.
  for (let at = program.indexOf(BLOB_MAGIC); at >= 0; at = program.indexOf(BLOB_MAGIC, at + 1)) {
    if (at + BLOB_HEADER_BYTES > program.length) break;
    const end = BigInt(at) + program.readBigUInt64LE(at + headerField.blobBytes);
    if (end > program.length) continue;
    const blob = program.subarray(at, Number(end));
    if (isBlob(blob)) return blob;
  }
  throw new EmbedError('EM1403', { where: path, why: 'no blob lies in it' });
}

function isBlob(bytes: Uint8Array): boolean {
  try {
    readBlob(bytes);
    return true;
  } catch (error) {
    if (error instanceof EmbedError) return false;
    throw error;
  }
}

function readProgram(path: string): Buffer {
  try {
    // Looked at before it is opened, because opening a named pipe waits for a writer.
    if (!statSync(path).isFile()) throw new Error('not a regular file');
    return readFileSync(path);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new EmbedError('EM1402', { where: path, why, cause });
  }
}
