import type { TensorInfo } from './checkpoint.js';
import { decodeFloats } from './float-decoding.js';
import { type BlockDtype, blockCodecs } from './gguf/block-codecs.js';

/** How elements of one type lie in a file: blocks of `elements` values in `bytes` bytes. */
export interface TensorCodec {
  readonly elements: number;
  readonly bytes: number;
  /**
   * The values of whole blocks, in order, exactly or rounded to float32 once. `bytes` starts at a multiple of
   * 8 in its buffer.
   */
  decode(bytes: Uint8Array, out: Float32Array): void;
}

/** Types whose elements lie one after the other and can be decoded without anything else. */
export type StoredDtype = 'F64' | 'F32' | 'F16' | 'BF16' | BlockDtype;

/** Types of tensors that are put together from several parts of a file: codes, scales, offsets. */
export type CompositeDtype = 'llama2.c Q8_0' | 'GPTQ' | 'AWQ' | 'pack-quantized';

/** Element types found in checkpoints that can be read as float32. */
export type TensorDtype = StoredDtype | CompositeDtype;

const floatCodec = (dtype: 'F32' | 'F16' | 'BF16', bytes: number): TensorCodec => ({
  elements: 1,
  bytes,
  decode: (stored, out) => {
    decodeFloats(dtype, stored, out);
  },
});

export const tensorCodecs: Readonly<Record<StoredDtype, TensorCodec>> = {
  F64: { elements: 1, bytes: 8, decode: decodeDoubles },
  F32: floatCodec('F32', 4),
  F16: floatCodec('F16', 2),
  BF16: floatCodec('BF16', 2),
  ...blockCodecs,
};

const compositeDtypes: readonly string[] = [
  'llama2.c Q8_0',
  'GPTQ',
  'AWQ',
  'pack-quantized',
] satisfies CompositeDtype[];

/** Whether elements of this type can be read as float32. */
export function isTensorDtype(dtype: string): dtype is TensorDtype {
  return isStoredDtype(dtype) || compositeDtypes.includes(dtype);
}

export function isStoredDtype(dtype: string): dtype is StoredDtype {
  return Object.hasOwn(tensorCodecs, dtype);
}

/** float64 rounded to float32; a value beyond its range becomes infinite and is refused as such. */
function decodeDoubles(bytes: Uint8Array, out: Float32Array): void {
  out.set(new Float64Array(bytes.buffer, bytes.byteOffset, out.length));
}

/** Bytes that a tensor takes in its file. */
export function storedBytesOf({ dtype, shape, storedBytes }: TensorInfo): number {
  if (storedBytes !== undefined || !isStoredDtype(dtype)) return storedBytes ?? 0;
  const { elements, bytes } = tensorCodecs[dtype];
  return shape.reduce((product, size) => product * size, bytes / elements);
}
