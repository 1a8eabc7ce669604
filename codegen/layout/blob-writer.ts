/** Writes blobs, to memory or to a file, never holding more of a section than its producer hands over at a time. */
import { createHash } from 'node:crypto';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { EmbedError } from '../diagnostics/error.js';
import {
  type BlobEntry,
  type BlobLayout,
  encodeHead,
  layOutBlob,
  type PlacelessEntry,
} from './blob-header.js';

export interface BlobSection extends PlacelessEntry {
  /** The section's bytes, `bytes` of them, whole or produced in order when their turn comes. */
  readonly content: Uint8Array | (() => Iterable<Uint8Array>);
}

export interface BlobContents {
  /** 32 bytes, or a function of the payload's SHA-256, which the build id includes. */
  readonly buildId: Uint8Array | ((payloadSha256: Uint8Array) => Uint8Array);
  readonly sections: readonly BlobSection[];
}

export interface WrittenBlob extends BlobLayout {
  readonly buildId: Uint8Array;
  readonly payloadSha256: Uint8Array;
}

type WriteAt = (offset: number, bytes: Uint8Array) => void;

/** The blob as one array. Throws EM1408 for a section that cannot be stored. */
export function writeBlob(contents: BlobContents): Uint8Array {
  const blob = new Uint8Array(layOutBlob(contents.sections).blobBytes);
  writeTo(contents, (offset, bytes) => blob.set(bytes, offset));
  return blob;
}

/** The blob as a file. Throws EM1408, or EM1301 where the file cannot be written; then no file is left. */
export function writeBlobFile(path: string, contents: BlobContents): WrittenBlob {
  const handle = attempt(path, () => openSync(path, 'w'));
  try {
    const written = writeTo(contents, (offset, bytes) => writeFully(path, handle, offset, bytes));
    attempt(path, () => closeSync(handle));
    return written;
  } catch (error) {
    try {
      closeSync(handle);
    } catch {
      // It was the close that failed; the file goes either way.
    }
    rmSync(path, { force: true });
    throw error;
  }
}

/** Payload first, because the header holds its digest. */
function writeTo(contents: BlobContents, write: WriteAt): WrittenBlob {
  const layout = layOutBlob(contents.sections);
  const payloadSha256 = writePayload(layout, contents.sections, write);
  const buildId = typeof contents.buildId === 'function' ? contents.buildId(payloadSha256) : contents.buildId;
  if (buildId.length !== 32) {
    throw new EmbedError('EM1408', { where: 'build id', why: `${buildId.length} bytes instead of 32` });
  }
  write(0, encodeHead(layout, buildId, payloadSha256));
  return { ...layout, buildId, payloadSha256 };
}

/** Writes sections and the zeros after each; returns SHA-256 over all of it. */
function writePayload(layout: BlobLayout, sections: readonly BlobSection[], write: WriteAt): Uint8Array {
  const hash = createHash('sha256');
  layout.entries.forEach((entry, index) => {
    const { content } = sections[index];
    const end = entry.offset + entry.bytes;
    const next = layout.entries[index + 1]?.offset ?? layout.blobBytes;
    let at = entry.offset;
    for (const bytes of content instanceof Uint8Array ? [content] : content()) {
      if (at + bytes.length > end) throw wrongSize(entry, 'more');
      hash.update(bytes);
      write(at, bytes);
      at += bytes.length;
    }
    if (at !== end) throw wrongSize(entry, `only ${at - entry.offset}`);
    const padding = new Uint8Array(next - end);
    hash.update(padding);
    write(end, padding);
  });
  return new Uint8Array(hash.digest());
}

function wrongSize(entry: BlobEntry, got: string): EmbedError {
  return new EmbedError('EM1408', {
    where: entry.name,
    why: `${entry.bytes} bytes were announced, ${got} were produced`,
  });
}

function writeFully(path: string, handle: number, offset: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) {
    done += attempt(path, () => writeSync(handle, bytes, done, bytes.length - done, offset + done));
  }
}

function attempt<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new EmbedError('EM1301', { where: path, why, cause });
  }
}
