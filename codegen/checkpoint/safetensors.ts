import { EmbedError } from '../diagnostics/error.js';
import type { BoundedFile } from './bounded-file.js';
import { isJsonObject, type JsonObject, parseJsonObject } from './json-object.js';
import { storedEntry, type TensorEntry } from './tensor-entry.js';

/** The bound that the format's own library puts on its header, in bytes. */
const mostHeaderBytes = 100_000_000;

/** Far beyond any name there is; keeps a message a line. */
const mostNameLength = 512;

/**
 * Bits an element, for every type the format names, so that sizes can be checked even of tensors that are not
 * read.
 */
const elementBits = new Map<string, number>([
  ...(['F64', 'I64', 'U64', 'C64'] as const).map((name) => [name, 64] as const),
  ...(['F32', 'I32', 'U32'] as const).map((name) => [name, 32] as const),
  ...(['F16', 'BF16', 'I16', 'U16'] as const).map((name) => [name, 16] as const),
  ...(['BOOL', 'I8', 'U8', 'F8_E5M2', 'F8_E4M3', 'F8_E8M0', 'F8_E5M2FNUZ', 'F8_E4M3FNUZ'] as const).map(
    (name) => [name, 8] as const,
  ),
  ...(['F6_E2M3', 'F6_E3M2'] as const).map((name) => [name, 6] as const),
  ['F4', 4],
]);

/** dtype: one of the format's type names, whether or not weights of this type can be read. */
export interface SafetensorsEntry extends TensorEntry {
  readonly file: BoundedFile;
  /** First byte, from the start of the file. */
  readonly offset: number;
  readonly bytes: number;
}

/**
 * The tensors of a safetensors file by name: u64 header length, JSON header
 * {name: {dtype, shape, data_offsets: [begin, end]}}, then the data, all little-endian
 * (https://github.com/huggingface/safetensors, section Format).
 *
 * Nothing of the data is read, but everything is checked: header length and syntax, duplicate names (EM1009),
 * types (EM1014), size against shape (EM1013), offsets against the file (EM1011), overlaps (EM1012). Holes
 * are allowed.
 */
export function readSafetensorsHeader(file: BoundedFile): Map<string, SafetensorsEntry> {
  const header = readHeader(file);
  const dataStart = header.bytes + 8;
  const entries = new Map<string, SafetensorsEntry>();
  for (const [name, value] of Object.entries(header.values)) {
    if (name === '__metadata__') continue;
    if (name.length > mostNameLength) {
      throw new EmbedError('EM1009', {
        where: file.path,
        why: `a tensor name has ${name.length} characters`,
      });
    }
    const { dtype, shape, begin, end } = entryFields(file, name, value);
    const bytes = sizeInBytes(file, name, dtype, shape);
    if (end - begin !== bytes) {
      const why = `data_offsets span ${end - begin} bytes; ${dtype} ${showShape(shape)} needs ${bytes}`;
      throw new EmbedError('EM1013', { where: placeOf(file, name), why });
    }
    if (end > file.size - dataStart) {
      const why = `its data ends at byte ${dataStart + end}, the file has ${file.size}`;
      throw new EmbedError('EM1011', { where: placeOf(file, name), why });
    }
    const offset = dataStart + begin;
    entries.set(name, { ...storedEntry(file, { name, dtype, shape }, offset), file, offset, bytes });
  }
  requireDisjoint(file, [...entries.values()]);
  return entries;
}

/** A shape as messages show it: [256, 64]. */
export function showShape(shape: readonly number[]): string {
  return `[${shape.join(', ')}]`;
}

function readHeader(file: BoundedFile): { values: JsonObject; bytes: number } {
  if (file.size < 8) {
    const why = `has ${file.size} bytes; the header length alone takes 8`;
    throw new EmbedError('EM1011', { where: file.path, why });
  }
  const prefix = new Uint8Array(8);
  file.read(0, prefix);
  const length = new DataView(prefix.buffer).getBigUint64(0, true);
  if (length > BigInt(mostHeaderBytes) || Number(length) > file.size - 8) {
    const most = Math.min(file.size - 8, mostHeaderBytes);
    const why = `header length is ${length}; at most ${most} can be read from this file`;
    throw new EmbedError('EM1009', { where: file.path, why });
  }
  const json = new Uint8Array(Number(length));
  file.read(8, json);
  return { values: parseJsonObject(json, file.path, 'EM1009'), bytes: json.length };
}

function entryFields(file: BoundedFile, name: string, value: unknown) {
  const malformed = (why: string) => new EmbedError('EM1009', { where: placeOf(file, name), why });
  if (!isJsonObject(value)) throw malformed('its entry is not an object');
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string') throw malformed('dtype is not a string');
  if (!isSizeList(shape)) throw malformed('shape is not a list of sizes');
  if (!isSizeList(offsets) || offsets.length !== 2 || offsets[0]! > offsets[1]!) {
    throw malformed('data_offsets is not a pair of ascending offsets');
  }
  return { dtype, shape, begin: offsets[0]!, end: offsets[1]! };
}

function isSizeList(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}

function sizeInBytes(file: BoundedFile, name: string, dtype: string, shape: readonly number[]): number {
  const bits = elementBits.get(dtype);
  if (bits === undefined) {
    throw new EmbedError('EM1014', {
      where: placeOf(file, name),
      why: `unknown dtype ${JSON.stringify(dtype)}`,
    });
  }
  let product = bits;
  for (const dimension of shape) {
    // A product beyond 2^53 is refused even when a later dimension is 0, as the format's own library does.
    product *= dimension;
    if (!Number.isSafeInteger(product)) {
      throw new EmbedError('EM1013', {
        where: placeOf(file, name),
        why: `the product of ${showShape(shape)} overflows`,
      });
    }
  }
  if (product % 8 !== 0) {
    const why = `${dtype} ${showShape(shape)} does not fill whole bytes`;
    throw new EmbedError('EM1013', { where: placeOf(file, name), why });
  }
  return product / 8;
}

function requireDisjoint(file: BoundedFile, entries: SafetensorsEntry[]): void {
  const ordered = entries.filter((entry) => entry.bytes > 0).sort((a, b) => a.offset - b.offset);
  for (let i = 1; i < ordered.length; i++) {
    const [before, after] = [ordered[i - 1]!, ordered[i]!];
    if (before.offset + before.bytes > after.offset) {
      const end = before.offset + before.bytes;
      const why = `${before.name} ends at byte ${end}, ${after.name} begins at ${after.offset}`;
      throw new EmbedError('EM1012', { where: file.path, why });
    }
  }
}

function placeOf(file: BoundedFile, tensor: string): string {
  return `${file.path}, ${tensor}`;
}
