import { EmbedError } from '../../diagnostics/error.js';
import type { BoundedFile } from '../bounded-file.js';

/** A file of a zip archive that is stored as it is, so that it can be read by position. */
export interface ZipMember {
  readonly name: string;
  /** Of its first byte in the archive. */
  readonly offset: number;
  readonly bytes: number;
}

const endBytes = 22;
const end64Bytes = 56;
const locator64Bytes = 20;
const centralBytes = 46;
const localBytes = 30;
/** The comment behind the end record has 16 bits of length. */
const mostComment = 0xffff;
/** Far above any checkpoint: one member a tensor. */
const mostMembers = 100_000;
const mostDirectoryBytes = 32 << 20;
const mostNameBytes = 1024;

interface Directory {
  readonly offset: number;
  readonly bytes: number;
  readonly members: number;
}

/**
 * The members of a zip archive by name (PKWARE APPNOTE 6.3, sections 4.3 and 4.5.3), from its central directory.
 * Nothing is ever inflated: torch.save stores members as they are, and compressed, encrypted or overlapping
 * members are refused, so an archive cannot ask for more memory than it has bytes. Throws EM1030.
 */
export function readZipDirectory(file: BoundedFile): Map<string, ZipMember> {
  const directory = findDirectory(file);
  const view = viewOf(file, directory.offset, directory.bytes);
  const members = new Map<string, ZipMember>();
  let at = 0;
  for (let i = 0; i < directory.members; i++) {
    if (at + centralBytes > view.byteLength || view.getUint32(at, true) !== 0x02014b50) {
      throw damagedZip(file, `entry ${i} of the central directory is not one`);
    }
    const nameBytes = view.getUint16(at + 28, true);
    const next =
      at + centralBytes + nameBytes + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
    if (next > view.byteLength)
      throw damagedZip(file, `entry ${i} runs over the end of the central directory`);
    if (nameBytes > mostNameBytes) throw damagedZip(file, `a member's name has ${nameBytes} bytes`);
    const member = readEntry(file, view, at, nameBytes);
    if (members.has(member.name)) throw damagedZip(file, `two members are called ${member.name}`);
    members.set(member.name, member);
    at = next;
  }
  requireDisjoint(file, [...members.values()], directory.offset);
  return members;
}

/** EM1030. */
export function damagedZip(file: BoundedFile, why: string): EmbedError {
  return new EmbedError('EM1030', { where: file.path, why });
}

function viewOf(file: BoundedFile, offset: number, bytes: number): DataView {
  const part = new Uint8Array(bytes);
  file.read(offset, part);
  return new DataView(part.buffer);
}

function findDirectory(file: BoundedFile): Directory {
  const tail = Math.min(file.size, endBytes + mostComment);
  const view = viewOf(file, file.size - tail, tail);
  for (let at = tail - endBytes; at >= 0; at--) {
    if (view.getUint32(at, true) !== 0x06054b50) continue;
    // A comment may hold the mark by chance: the record must end with the file.
    if (at + endBytes + view.getUint16(at + 20, true) !== tail) continue;
    return readEnd(file, view, at, file.size - tail + at);
  }
  throw damagedZip(file, 'has no end record: it is truncated, or no zip archive');
}

function readEnd(file: BoundedFile, view: DataView, at: number, endOffset: number): Directory {
  const members = view.getUint16(at + 10, true);
  const bytes = view.getUint32(at + 12, true);
  const offset = view.getUint32(at + 16, true);
  const needs64 = members === 0xffff || bytes === 0xffffffff || offset === 0xffffffff;
  const directory = needs64 ? readEnd64(file, endOffset) : { members, bytes, offset };
  if (directory.members > mostMembers || directory.bytes > mostDirectoryBytes) {
    const why = `central directory of ${directory.members} members in ${directory.bytes} bytes; at most ${mostMembers} in ${mostDirectoryBytes} are read`;
    throw damagedZip(file, why);
  }
  if (directory.offset + directory.bytes > endOffset) {
    const why = `central directory of ${directory.bytes} bytes at ${directory.offset} does not end before byte ${endOffset}`;
    throw damagedZip(file, why);
  }
  return directory;
}

function readEnd64(file: BoundedFile, endOffset: number): Directory {
  const locatorAt = endOffset - locator64Bytes;
  if (locatorAt < end64Bytes) throw damagedZip(file, 'the zip64 end record is missing');
  const locator = viewOf(file, locatorAt, locator64Bytes);
  const at = wide(file, locator, 8, 'offset of the zip64 end record');
  if (locator.getUint32(0, true) !== 0x07064b50 || at > locatorAt - end64Bytes) {
    throw damagedZip(file, 'the zip64 end record is not where it should be');
  }
  const end = viewOf(file, at, end64Bytes);
  if (end.getUint32(0, true) !== 0x06064b50) throw damagedZip(file, 'the zip64 end record is not one');
  return {
    members: wide(file, end, 32, 'number of members'),
    bytes: wide(file, end, 40, 'size of the central directory'),
    offset: wide(file, end, 48, 'offset of the central directory'),
  };
}

/** A u64 that is an offset or a size: never beyond the file. */
function wide(file: BoundedFile, view: DataView, at: number, what: string): number {
  const value = view.getBigUint64(at, true);
  if (value > BigInt(file.size))
    throw damagedZip(file, `${what} is ${value}, the file has ${file.size} bytes`);
  return Number(value);
}

function readEntry(file: BoundedFile, view: DataView, at: number, nameBytes: number): ZipMember {
  const name = Buffer.from(view.buffer, at + centralBytes, nameBytes).toString('utf8');
  const flags = view.getUint16(at + 8, true);
  const method = view.getUint16(at + 10, true);
  if ((flags & 1) !== 0) throw damagedZip(file, `${name} is encrypted`);
  if (method !== 0) {
    throw damagedZip(file, `${name} is compressed (method ${method}); torch.save stores members as they are`);
  }
  const sizes = {
    stored: view.getUint32(at + 20, true),
    full: view.getUint32(at + 24, true),
    offset: view.getUint32(at + 42, true),
  };
  const extra = at + centralBytes + nameBytes;
  const { stored, full, offset } = widened(file, view, extra, view.getUint16(at + 30, true), sizes);
  if (stored !== full) throw damagedZip(file, `${name} is stored, with ${stored} bytes for ${full}`);
  return { name, offset: dataOffset(file, name, offset, stored), bytes: stored };
}

interface Sizes {
  readonly stored: number;
  readonly full: number;
  readonly offset: number;
}

/** Fields that do not fit 32 bits stand in extra field 1, in this order, each only where it is needed. */
function widened(file: BoundedFile, view: DataView, extra: number, extraBytes: number, sizes: Sizes): Sizes {
  const needed = [sizes.full, sizes.stored, sizes.offset].map((value) => value === 0xffffffff);
  if (!needed.includes(true)) return sizes;
  const end = extra + extraBytes;
  for (let at = extra; at + 4 <= end; ) {
    const bytes = view.getUint16(at + 2, true);
    if (view.getUint16(at, true) !== 1) {
      at += 4 + bytes;
      continue;
    }
    const count = needed.filter(Boolean).length;
    if (bytes < 8 * count || at + 4 + bytes > end) break;
    let field = at + 4;
    const next = (isNeeded: boolean, value: number, what: string) => {
      if (!isNeeded) return value;
      field += 8;
      return wide(file, view, field - 8, what);
    };
    const full = next(needed[0]!, sizes.full, 'size of a member');
    const stored = next(needed[1]!, sizes.stored, 'size of a member');
    return { full, stored, offset: next(needed[2]!, sizes.offset, 'offset of a member') };
  }
  throw damagedZip(file, 'a member of more than 4 GB lacks its zip64 sizes');
}

/** Where the data of a member begins: behind its own header, whose extra field may have another length. */
function dataOffset(file: BoundedFile, name: string, at: number, bytes: number): number {
  if (at + localBytes > file.size) throw damagedZip(file, `${name} begins at byte ${at}, beyond the end`);
  const view = viewOf(file, at, localBytes);
  if (view.getUint32(0, true) !== 0x04034b50) throw damagedZip(file, `${name} has no header at byte ${at}`);
  const offset = at + localBytes + view.getUint16(26, true) + view.getUint16(28, true);
  if (offset + bytes > file.size) {
    throw damagedZip(file, `${name} ends at byte ${offset + bytes}, the file has ${file.size}`);
  }
  return offset;
}

function requireDisjoint(file: BoundedFile, members: readonly ZipMember[], directoryOffset: number): void {
  const ordered = members.filter(({ bytes }) => bytes > 0).sort((a, b) => a.offset - b.offset);
  for (const [i, { name, offset, bytes }] of ordered.entries()) {
    const limit = ordered[i + 1]?.offset ?? directoryOffset;
    if (offset + bytes > limit) throw damagedZip(file, `${name} overlaps what follows it`);
  }
}
