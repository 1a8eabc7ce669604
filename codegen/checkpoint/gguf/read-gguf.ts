import type { BoundedFile } from '../bounded-file.js';
import { showShape } from '../safetensors.js';
import { bytesOf } from '../stored-tensor.js';
import { storedEntry, type TensorEntry } from '../tensor-entry.js';
import { isStoredDtype, tensorCodecs } from '../tensor-types.js';
import { GgufCursor } from './gguf-cursor.js';

export type GgufScalar = number | bigint | boolean | string;
/** Texts of an array stay bytes: a token need not be UTF-8. */
export type GgufValue = GgufScalar | readonly number[] | readonly boolean[] | readonly Uint8Array[];

export interface GgufFile {
  readonly version: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** By the names of the file. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
}

/** Bounds far above any model: a vocabulary of 2^20 tokens has as many merges. */
const most = {
  keys: 1 << 16,
  keyBytes: 1 << 16,
  textBytes: 1 << 24,
  items: 1 << 21,
  tensors: 1 << 17,
  dimensions: 4,
};
const largestAlignment = 1 << 20;

/** ggml_type by number (ggml.h); only those that stored-tensor.ts decodes can be read. */
const typeNames: Readonly<Record<number, string>> = {
  ...{ 0: 'F32', 1: 'F16', 2: 'Q4_0', 3: 'Q4_1', 6: 'Q5_0', 7: 'Q5_1', 8: 'Q8_0', 9: 'Q8_1', 10: 'Q2_K' },
  ...{ 11: 'Q3_K', 12: 'Q4_K', 13: 'Q5_K', 14: 'Q6_K', 15: 'Q8_K', 16: 'IQ2_XXS', 17: 'IQ2_XS' },
  ...{
    18: 'IQ3_XXS',
    19: 'IQ1_S',
    20: 'IQ4_NL',
    21: 'IQ3_S',
    22: 'IQ2_S',
    23: 'IQ4_XS',
    24: 'I8',
    25: 'I16',
  },
  ...{ 26: 'I32', 27: 'I64', 28: 'F64', 29: 'IQ1_M', 30: 'BF16', 34: 'TQ1_0', 35: 'TQ2_0', 39: 'MXFP4' },
};

/**
 * The metadata and tensors of a GGUF file of version 2 or 3
 * (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md). Of the tensors nothing is read, but their places are
 * checked: inside the file, aligned, disjoint. Throws EM1034.
 */
export function readGguf(file: BoundedFile): GgufFile {
  const cursor = new GgufCursor(file);
  if (cursor.u32() !== 0x46554747) throw cursor.damaged('does not begin with GGUF');
  const version = cursor.u32();
  if (version === 0x02000000 || version === 0x03000000)
    throw cursor.damaged('is big-endian; little-endian is read');
  if (version !== 2 && version !== 3) throw cursor.damaged(`is of version ${version}; 2 and 3 are read`);
  const tensorCount = cursor.count('number of tensors', 24, most.tensors);
  const metadata = readMetadata(cursor, cursor.count('number of keys', 13, most.keys));
  return {
    version,
    metadata,
    tensors: readTensors(file, cursor, tensorCount, alignmentOf(cursor, metadata)),
  };
}

function readMetadata(cursor: GgufCursor, count: number): Map<string, GgufValue> {
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < count; i++) {
    const key = cursor.text('a key', most.keyBytes);
    if (metadata.has(key)) throw cursor.damaged(`key ${key.slice(0, 80)} stands twice`);
    metadata.set(key, readValue(cursor, key, cursor.u32()));
  }
  return metadata;
}

/** Value types by number, with the bytes of one. */
const scalars: Readonly<Record<number, readonly [number, (cursor: GgufCursor) => number | bigint]>> = {
  0: [1, (cursor) => cursor.u8()],
  1: [1, (cursor) => cursor.i8()],
  2: [2, (cursor) => cursor.u16()],
  3: [2, (cursor) => cursor.i16()],
  4: [4, (cursor) => cursor.u32()],
  5: [4, (cursor) => cursor.i32()],
  6: [4, (cursor) => cursor.f32()],
  10: [8, (cursor) => cursor.u64()],
  11: [8, (cursor) => cursor.i64()],
  12: [8, (cursor) => cursor.f64()],
};
const boolType = 7;
const textType = 8;
const arrayType = 9;

function readValue(cursor: GgufCursor, key: string, type: number): GgufValue {
  if (type === textType) return cursor.text(key, most.textBytes);
  if (type === boolType) return readBoolean(cursor, key);
  if (type === arrayType) return readArray(cursor, key);
  const scalar = scalars[type];
  if (scalar === undefined) throw cursor.damaged(`${key.slice(0, 80)} is of unknown type ${type}`);
  return scalar[1](cursor);
}

function readBoolean(cursor: GgufCursor, key: string): boolean {
  const value = cursor.u8();
  if (value > 1) throw cursor.damaged(`${key.slice(0, 80)} is ${value}; expected: false or true`);
  return value === 1;
}

function readArray(cursor: GgufCursor, key: string): GgufValue {
  const type = cursor.u32();
  const items = `number of items of ${key.slice(0, 80)}`;
  if (type === textType) {
    const count = cursor.count(items, 8, most.items);
    return Array.from({ length: count }, () => cursor.raw(`an item of ${key}`, most.textBytes));
  }
  if (type === boolType) {
    const count = cursor.count(items, 1, most.items);
    return Array.from({ length: count }, () => readBoolean(cursor, key));
  }
  // Arrays of arrays are allowed by the format and used by no model.
  const scalar = scalars[type];
  if (scalar === undefined) throw cursor.damaged(`${key.slice(0, 80)} is an array of type ${type}`);
  const count = cursor.count(items, scalar[0], most.items);
  return Array.from({ length: count }, () => Number(scalar[1](cursor)));
}

function alignmentOf(cursor: GgufCursor, metadata: ReadonlyMap<string, GgufValue>): number {
  const alignment = metadata.get('general.alignment') ?? 32;
  if (typeof alignment === 'number' && Number.isInteger(alignment)) {
    if (alignment >= 8 && alignment % 8 === 0 && alignment <= largestAlignment) return alignment;
  }
  throw cursor.damaged(`general.alignment is ${String(alignment)}; expected: a multiple of 8`);
}

interface Placed {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly bytes: number;
}

function readTensors(
  file: BoundedFile,
  cursor: GgufCursor,
  count: number,
  alignment: number,
): Map<string, TensorEntry> {
  const placed: Placed[] = [];
  for (let i = 0; i < count; i++) placed.push(readTensorInfo(cursor, alignment));
  const dataStart = Math.ceil(cursor.offset / alignment) * alignment;
  const tensors = new Map<string, TensorEntry>();
  for (const tensor of placed) {
    const { name, offset, bytes } = tensor;
    if (tensors.has(name)) throw cursor.damaged(`two tensors are called ${name}`);
    if (offset + bytes > file.size - dataStart) {
      throw cursor.damaged(`${name} ends at byte ${dataStart + offset + bytes}, the file has ${file.size}`);
    }
    tensors.set(name, storedEntry(file, tensor, dataStart + offset));
  }
  requireDisjoint(cursor, placed);
  return tensors;
}

function readTensorInfo(cursor: GgufCursor, alignment: number): Placed {
  const name = cursor.text('a tensor name', 512);
  const dimensions = cursor.u32();
  if (dimensions < 1 || dimensions > most.dimensions)
    throw cursor.damaged(`${name} has ${dimensions} dimensions`);
  // The fastest dimension comes first in the file, last in a shape.
  const shape = Array.from({ length: dimensions }, () => readSize(cursor, `a size of ${name}`)).reverse();
  const type = cursor.u32();
  const offset = readSize(cursor, `the offset of ${name}`);
  if (offset % alignment !== 0) throw cursor.damaged(`${name} is at ${offset}, no multiple of ${alignment}`);
  const dtype = typeNames[type] ?? `ggml type ${type}`;
  let elements = 1;
  for (const size of shape) elements *= size;
  if (!Number.isSafeInteger(8 * elements))
    throw cursor.damaged(`the product of ${showShape(shape)} overflows`);
  // Sizes of types that are not decoded are not known; they are refused where they are needed.
  if (!isStoredDtype(dtype)) return { name, dtype, shape, offset, bytes: 0 };
  const block = tensorCodecs[dtype].elements;
  if (shape.at(-1)! % block !== 0) {
    throw cursor.damaged(`${name} has rows of ${shape.at(-1)} values in blocks of ${block} (${dtype})`);
  }
  // A vector is read value by value, so one in blocks is not.
  const readable = shape.length > 1 || block === 1 ? dtype : `${dtype} vector`;
  return { name, dtype: readable, shape, offset, bytes: bytesOf(dtype, elements) };
}

function readSize(cursor: GgufCursor, what: string): number {
  const value = cursor.u64();
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw cursor.damaged(`${what} is ${value}`);
  return Number(value);
}

function requireDisjoint(cursor: GgufCursor, tensors: readonly Placed[]): void {
  const ordered = tensors.filter(({ bytes }) => bytes > 0).sort((a, b) => a.offset - b.offset);
  for (let i = 1; i < ordered.length; i++) {
    const [before, after] = [ordered[i - 1]!, ordered[i]!];
    if (before.offset + before.bytes > after.offset)
      throw cursor.damaged(`${before.name} overlaps ${after.name}`);
  }
}
