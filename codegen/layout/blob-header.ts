/** Header and table of a blob, byte for byte as templates/runtime/em_blob.h documents them. Little-endian. */
import { EmbedError } from '../diagnostics/error.js';
import { crc32c } from './crc32c.js';

/** Sections, the payload and the blob's end lie on multiples of this. EM_ALIGNMENT in C. */
export const BLOB_ALIGNMENT = 64;
export const BLOB_HEADER_BYTES = 128;
export const BLOB_ENTRY_BYTES = 96;
/** Longest section name in bytes: 56 with a NUL. */
export const BLOB_NAME_LIMIT = 55;
/** More sections than any model has; bounds what a damaged header can make a reader allocate. */
export const BLOB_ENTRY_LIMIT = 65_536;
/** EM_ABI_VERSION of the C interface that blobs written here belong to. */
export const BLOB_ABI_VERSION = 1;
export const BLOB_MAGIC = Uint8Array.from([0x45, 0x4d, 0x42, 0x4c, 0x4f, 0x42, 0x31, 0]); // "EMBLOB1\0"

/** Byte offsets of the fields of struct em_blob_header. */
export const headerField = {
  magic: 0,
  abiVersion: 8,
  headerBytes: 12,
  entries: 16,
  entryBytes: 20,
  blobBytes: 24,
  payloadOffset: 32,
  buildId: 40,
  payloadSha256: 72,
  headerCrc32c: 104,
  reserved: 108,
} as const;

/** Byte offsets of the fields of struct em_blob_entry. */
export const entryField = {
  name: 0,
  format: 56,
  layout: 58,
  rows: 60,
  cols: 64,
  leastExponent: 68,
  offset: 72,
  bytes: 80,
  padding: 88,
} as const;

export interface BlobEntry {
  /** Printable ASCII without spaces, at most 55 bytes, unique in the blob. */
  readonly name: string;
  /** Code of the weight format (codegen/quantize/format.ts); 0 for a table that is no tensor. */
  readonly format: number;
  /** Code of the kernel layout; 0 for a table that is no tensor. */
  readonly layout: number;
  readonly rows: number;
  readonly cols: number;
  /** The least exponent of the row multipliers of a matrix, in [0, 255] (docs/arithmetic.md, section 4); else 0. */
  readonly leastExponent: number;
  /** First byte of the section from the start of the blob, a multiple of 64. */
  readonly offset: number;
  /** Bytes of the section without padding, at least 1. */
  readonly bytes: number;
}

/** An entry before it has a place. */
export type PlacelessEntry = Omit<BlobEntry, 'offset' | 'leastExponent'> &
  Partial<Pick<BlobEntry, 'leastExponent'>>;

/** Where everything lies, known from names and sizes alone: the emitted C can be written before the payload. */
export interface BlobLayout {
  readonly entries: readonly BlobEntry[];
  /** First byte of the payload, a multiple of 64. */
  readonly payloadOffset: number;
  /** Bytes of the whole blob, a multiple of 64. */
  readonly blobBytes: number;
  /** CRC32C of the table's entries alone: compiled into the code, compared by em_blob_check. */
  readonly tableCrc32c: number;
}

export function alignUp(value: number): number {
  return Math.ceil(value / BLOB_ALIGNMENT) * BLOB_ALIGNMENT;
}

/** Places sections one after another. Throws EM1408 for a section that a table entry cannot describe. */
export function layOutBlob(sections: readonly PlacelessEntry[]): BlobLayout {
  if (sections.length > BLOB_ENTRY_LIMIT) {
    throw new EmbedError('EM1408', {
      where: 'blob',
      why: `${sections.length} sections, ${BLOB_ENTRY_LIMIT} is the limit`,
    });
  }
  const names = new Set<string>();
  const payloadOffset = alignUp(BLOB_HEADER_BYTES + sections.length * BLOB_ENTRY_BYTES);
  let end = payloadOffset;
  const entries = sections.map(
    ({ name, format, layout, rows, cols, leastExponent = 0, bytes }): BlobEntry => {
      const section = { name, format, layout, rows, cols, leastExponent, bytes };
      const why = describeFault(section) ?? (names.has(name) && 'name is taken');
      if (why) throw new EmbedError('EM1408', { where: JSON.stringify(name), why });
      names.add(name);
      const offset = end;
      end = alignUp(offset + bytes);
      return { name, format, layout, rows, cols, leastExponent, offset, bytes };
    },
  );
  if (!Number.isSafeInteger(end)) {
    throw new EmbedError('EM1408', { where: 'blob', why: 'sizes of the sections add up beyond 2^53 bytes' });
  }
  return { entries, payloadOffset, blobBytes: end, tableCrc32c: crc32c(encodeTable(entries)) };
}

/** Why a section fits no table entry, or null. */
function describeFault(section: Omit<BlobEntry, 'offset'>): string | null {
  if (!isBlobName(section.name)) return `name is not 1 to ${BLOB_NAME_LIMIT} printable ASCII characters`;
  const limits = {
    format: 0xffff,
    layout: 0xffff,
    rows: 0xffff_ffff,
    cols: 0xffff_ffff,
    leastExponent: 0xff,
  } as const;
  for (const [field, limit] of Object.entries(limits) as [keyof typeof limits, number][]) {
    const value = section[field];
    if (!Number.isInteger(value) || value < 0 || value > limit)
      return `${field} is ${value}, not in [0, ${limit}]`;
  }
  if (!Number.isSafeInteger(section.bytes) || section.bytes < 1) return `size is ${section.bytes} bytes`;
  return null;
}

export function isBlobName(name: string): boolean {
  return /^[!-~]+$/.test(name) && name.length <= BLOB_NAME_LIMIT;
}

/** The table: 96 bytes an entry. */
export function encodeTable(entries: readonly BlobEntry[]): Uint8Array {
  const table = new Uint8Array(entries.length * BLOB_ENTRY_BYTES);
  const view = new DataView(table.buffer);
  entries.forEach((entry, index) => {
    const base = index * BLOB_ENTRY_BYTES;
    new TextEncoder().encodeInto(entry.name, table.subarray(base, base + BLOB_NAME_LIMIT));
    view.setUint16(base + entryField.format, entry.format, true);
    view.setUint16(base + entryField.layout, entry.layout, true);
    view.setUint32(base + entryField.rows, entry.rows, true);
    view.setUint32(base + entryField.cols, entry.cols, true);
    view.setUint32(base + entryField.leastExponent, entry.leastExponent, true);
    view.setBigUint64(base + entryField.offset, BigInt(entry.offset), true);
    view.setBigUint64(base + entryField.bytes, BigInt(entry.bytes), true);
  });
  return table;
}

/** Header, table and padding: the bytes [0, payloadOffset) of the blob, checksum included. */
export function encodeHead(layout: BlobLayout, buildId: Uint8Array, payloadSha256: Uint8Array): Uint8Array {
  const head = new Uint8Array(layout.payloadOffset);
  const view = new DataView(head.buffer);
  head.set(BLOB_MAGIC, headerField.magic);
  view.setUint32(headerField.abiVersion, BLOB_ABI_VERSION, true);
  view.setUint32(headerField.headerBytes, BLOB_HEADER_BYTES, true);
  view.setUint32(headerField.entries, layout.entries.length, true);
  view.setUint32(headerField.entryBytes, BLOB_ENTRY_BYTES, true);
  view.setBigUint64(headerField.blobBytes, BigInt(layout.blobBytes), true);
  view.setBigUint64(headerField.payloadOffset, BigInt(layout.payloadOffset), true);
  head.set(buildId, headerField.buildId);
  head.set(payloadSha256, headerField.payloadSha256);
  head.set(encodeTable(layout.entries), BLOB_HEADER_BYTES);
  view.setUint32(headerField.headerCrc32c, headChecksum(head), true);
  return head;
}

/** CRC32C of the bytes [0, payloadOffset), the checksum's own field taken as zero. */
export function headChecksum(head: Uint8Array): number {
  const { headerCrc32c, reserved } = headerField;
  const before = crc32c(head.subarray(0, headerCrc32c));
  return crc32c(head.subarray(reserved), crc32c(new Uint8Array(reserved - headerCrc32c), before));
}
