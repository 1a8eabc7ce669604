/** Reads blobs as untrusted input: nothing is believed before it is checked, and only what is asked for is read. */
import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import type { DiagnosticCode } from '../diagnostics/catalog.js';
import { EmbedError } from '../diagnostics/error.js';
import {
  alignUp,
  BLOB_ABI_VERSION,
  BLOB_ENTRY_BYTES,
  BLOB_ENTRY_LIMIT,
  BLOB_HEADER_BYTES,
  BLOB_MAGIC,
  BLOB_NAME_LIMIT,
  type BlobEntry,
  type BlobLayout,
  entryField,
  headChecksum,
  headerField,
  isBlobName,
} from './blob-header.js';
import { crc32c } from './crc32c.js';

/** A blob in memory, or the path of one. */
export type BlobSource = Uint8Array | string;

export interface ParsedBlob extends BlobLayout {
  readonly abiVersion: number;
  readonly buildId: Uint8Array;
  /** What the header promises of the payload; verifyBlobPayload compares. */
  readonly payloadSha256: Uint8Array;
}

/**
 * Header and table of a blob, checked against each other and against its size. Reads no byte of the payload.
 * Throws EM1402 not readable, EM1403 not a blob of this version, EM1404 size differs from the header's, EM1405 checksum,
 * EM1406 fields that contradict each other.
 */
export function readBlob(source: BlobSource): ParsedBlob {
  return withBytes(source, parse);
}

/** The bytes of one section. `entry` must come from readBlob of the same source. */
export function readBlobSection(source: BlobSource, entry: BlobEntry): Uint8Array {
  return withBytes(source, (bytes) => bytes.read(entry.offset, entry.bytes));
}

/** Reads header, table and payload; throws what readBlob throws, and EM1407 where the payload's SHA-256 differs. */
export function verifyBlobPayload(source: BlobSource): ParsedBlob {
  return withBytes(source, (bytes) => {
    const blob = parse(bytes);
    const hash = createHash('sha256');
    const step = 1 << 20;
    for (let offset = blob.payloadOffset; offset < blob.blobBytes; offset += step) {
      hash.update(bytes.read(offset, Math.min(step, blob.blobBytes - offset)));
    }
    const found = hash.digest();
    if (!found.equals(blob.payloadSha256)) {
      const promised = Buffer.from(blob.payloadSha256).toString('hex');
      throw refuse('EM1407', bytes, `SHA-256 is ${found.toString('hex')}, the header says ${promised}`);
    }
    return blob;
  });
}

/** Random access to the bytes of a blob, wherever they are. */
interface Bytes {
  readonly where: string;
  readonly size: number;
  read(offset: number, length: number): Uint8Array;
}

function parse(bytes: Bytes): ParsedBlob {
  if (bytes.size < BLOB_HEADER_BYTES) {
    throw refuse('EM1403', bytes, `${bytes.size} bytes are fewer than its header has`);
  }
  const { entries: count, payloadOffset } = checkHeader(bytes, bytes.read(0, BLOB_HEADER_BYTES));
  const head = bytes.read(0, payloadOffset);
  const view = viewOf(head);
  const checksum = view.getUint32(headerField.headerCrc32c, true);
  const found = headChecksum(head);
  if (found !== checksum) {
    throw refuse(
      'EM1405',
      bytes,
      `CRC32C of header and table is ${hex(found)}, the header says ${hex(checksum)}`,
    );
  }
  const blobBytes = readSize(bytes, view, headerField.blobBytes, 'blob size');
  if (blobBytes !== bytes.size) {
    throw refuse('EM1404', bytes, `${bytes.size} bytes, the header says ${blobBytes}`);
  }
  if (blobBytes % alignUp(1) !== 0 || !isZero(head.subarray(headerField.reserved, BLOB_HEADER_BYTES))) {
    throw refuse(
      'EM1406',
      bytes,
      'blob size is not a multiple of 64, or reserved bytes of the header are not zero',
    );
  }
  const table = head.subarray(BLOB_HEADER_BYTES, BLOB_HEADER_BYTES + count * BLOB_ENTRY_BYTES);
  return {
    abiVersion: view.getUint32(headerField.abiVersion, true),
    buildId: head.slice(headerField.buildId, headerField.payloadSha256),
    payloadSha256: head.slice(headerField.payloadSha256, headerField.headerCrc32c),
    payloadOffset,
    blobBytes,
    tableCrc32c: crc32c(table),
    entries: parseTable(bytes, table, payloadOffset, blobBytes),
  };
}

/** What must hold before anything beyond the header is read. */
function checkHeader(bytes: Bytes, header: Uint8Array): { entries: number; payloadOffset: number } {
  const view = viewOf(header);
  const abi = view.getUint32(headerField.abiVersion, true);
  const entries = view.getUint32(headerField.entries, true);
  if (BLOB_MAGIC.some((byte, index) => header[index] !== byte)) {
    throw refuse('EM1403', bytes, 'it does not start with "EMBLOB1"');
  }
  if (abi !== BLOB_ABI_VERSION) {
    throw refuse('EM1403', bytes, `interface version ${abi}, this version reads ${BLOB_ABI_VERSION}`);
  }
  if (
    view.getUint32(headerField.headerBytes, true) !== BLOB_HEADER_BYTES ||
    view.getUint32(headerField.entryBytes, true) !== BLOB_ENTRY_BYTES
  ) {
    throw refuse('EM1403', bytes, 'sizes of header or table entries are not those of this version');
  }
  const payloadOffset = readSize(bytes, view, headerField.payloadOffset, 'payload offset');
  if (
    entries > BLOB_ENTRY_LIMIT ||
    payloadOffset !== alignUp(BLOB_HEADER_BYTES + entries * BLOB_ENTRY_BYTES)
  ) {
    throw refuse(
      'EM1406',
      bytes,
      `payload offset ${payloadOffset} does not follow a table of ${entries} entries`,
    );
  }
  if (payloadOffset > bytes.size) {
    throw refuse('EM1404', bytes, `${bytes.size} bytes end before the table of ${entries} entries does`);
  }
  return { entries, payloadOffset };
}

function parseTable(bytes: Bytes, table: Uint8Array, payloadOffset: number, blobBytes: number): BlobEntry[] {
  const names = new Set<string>();
  const entries: BlobEntry[] = [];
  let end = payloadOffset;
  for (let base = 0; base < table.length; base += BLOB_ENTRY_BYTES) {
    const entry = parseEntry(bytes, table.subarray(base, base + BLOB_ENTRY_BYTES), entries.length);
    const label = `entry ${entries.length} (${entry.name})`;
    if (names.has(entry.name)) throw refuse('EM1406', bytes, `${label}: its name is taken`);
    if (entry.offset !== end || entry.bytes === 0 || entry.bytes > blobBytes - end) {
      const range = `[${entry.offset}, ${entry.offset + entry.bytes})`;
      throw refuse(
        'EM1406',
        bytes,
        `${label}: bytes ${range} where [${end}, ...) within ${blobBytes} was due`,
      );
    }
    names.add(entry.name);
    entries.push(entry);
    end = alignUp(entry.offset + entry.bytes);
  }
  if (end !== blobBytes) {
    throw refuse('EM1406', bytes, `sections end at byte ${end}, the blob at ${blobBytes}`);
  }
  return entries;
}

function parseEntry(bytes: Bytes, raw: Uint8Array, index: number): BlobEntry {
  const view = viewOf(raw);
  const nameBytes = raw.subarray(entryField.name, BLOB_NAME_LIMIT + 1);
  const length = nameBytes.indexOf(0);
  const name = String.fromCharCode(...nameBytes.subarray(0, Math.max(length, 0)));
  if (!isBlobName(name) || !isZero(nameBytes.subarray(length))) {
    throw refuse('EM1406', bytes, `entry ${index}: its name is not printable ASCII padded with zeros`);
  }
  const leastExponent = view.getUint32(entryField.leastExponent, true);
  if (leastExponent > 255)
    throw refuse('EM1406', bytes, `entry ${index} (${name}): exponent ${leastExponent}`);
  if (!isZero(raw.subarray(entryField.padding))) {
    throw refuse('EM1406', bytes, `entry ${index} (${name}): reserved bytes are not zero`);
  }
  return {
    name,
    format: view.getUint16(entryField.format, true),
    layout: view.getUint16(entryField.layout, true),
    rows: view.getUint32(entryField.rows, true),
    cols: view.getUint32(entryField.cols, true),
    leastExponent,
    offset: readSize(bytes, view, entryField.offset, `offset of entry ${index}`),
    bytes: readSize(bytes, view, entryField.bytes, `size of entry ${index}`),
  };
}

/** A 64-bit size that a double holds exactly. */
function readSize(bytes: Bytes, view: DataView, offset: number, what: string): number {
  const value = view.getBigUint64(offset, true);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw refuse('EM1406', bytes, `${what} is ${value}`);
  return Number(value);
}

function withBytes<T>(source: BlobSource, use: (bytes: Bytes) => T): T {
  if (source instanceof Uint8Array) {
    const read = (offset: number, length: number) => source.subarray(offset, offset + length);
    return use({ where: 'blob in memory', size: source.length, read });
  }
  // Looked at before it is opened, because opening a named pipe waits for a writer.
  if (!attempt(source, () => statSync(source)).isFile()) {
    throw new EmbedError('EM1402', { where: source, why: 'not a regular file' });
  }
  const handle = attempt(source, () => openSync(source, 'r'));
  try {
    const size = attempt(source, () => fstatSync(handle)).size;
    return use({ where: source, size, read: (offset, length) => readFully(source, handle, offset, length) });
  } finally {
    closeSync(handle);
  }
}

function readFully(path: string, handle: number, offset: number, length: number): Uint8Array {
  const into = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const got = attempt(path, () => readSync(handle, into, done, length - done, offset + done));
    if (got === 0) throw new EmbedError('EM1402', { where: path, why: 'it was cut short while it was read' });
    done += got;
  }
  return into;
}

function attempt<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    throw new EmbedError('EM1402', {
      where: path,
      why: cause instanceof Error ? cause.message : String(cause),
      cause,
    });
  }
}

function refuse(code: DiagnosticCode, bytes: Bytes, why: string): EmbedError {
  return new EmbedError(code, { where: bytes.where, why });
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}
