/** A safetensors writer that shares nothing with the reader under test. */
export interface WrittenTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

export type HeaderEdit = (
  header: Record<string, { dtype: string; shape: number[]; data_offsets: number[] }>,
) => void;

/**
 * The bytes of a file with these tensors one after the other; `edit` may spoil the header before it is
 * written.
 */
export function writeSafetensors(
  tensors: Readonly<Record<string, WrittenTensor>>,
  edit?: HeaderEdit,
): Buffer {
  const header: Parameters<HeaderEdit>[0] = {};
  const parts: Uint8Array[] = [];
  let offset = 0;
  for (const [name, { dtype, shape, data }] of Object.entries(tensors)) {
    header[name] = { dtype, shape: [...shape], data_offsets: [offset, offset + data.length] };
    parts.push(data);
    offset += data.length;
  }
  edit?.(header);
  return Buffer.concat([frame(JSON.stringify(header)), ...parts]);
}

/** Header length and header, padded with spaces to a multiple of eight as the format's own writer does. */
export function frame(json: string): Buffer {
  const text = Buffer.from(json);
  const padded = Buffer.concat([text, Buffer.alloc((8 - (text.length % 8)) % 8, ' ')]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  return Buffer.concat([length, padded]);
}

/** Values that every one of the three types holds exactly: k / 64 for |k| <= 127. */
export function exactValues(count: number, seed: number): Float32Array {
  let state = seed >>> 0;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return ((state >>> 24) - 128 || 1) / 64;
  });
}

export function encodeFloats(dtype: 'F32' | 'F16' | 'BF16', values: Float32Array): Buffer {
  const out = Buffer.alloc(values.length * (dtype === 'F32' ? 4 : 2));
  values.forEach((value, i) => {
    if (dtype === 'F32') out.writeFloatLE(value, 4 * i);
    else out.writeUInt16LE(dtype === 'F16' ? halfBits(value) : bfloatBits(value), 2 * i);
  });
  return out;
}

/** The binary16 with exactly this value; throws when there is none. */
export function halfBits(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (magnitude === 0) return sign;
  const exponent = Math.max(-14, Math.floor(Math.log2(magnitude)));
  const significand = magnitude / 2 ** (exponent - 10);
  if (!Number.isInteger(significand) || significand >= 2048 || exponent > 15) {
    throw new Error(`${value} is not a binary16`);
  }
  // A subnormal has a significand below 1024 and the exponent field 0.
  return sign + (significand < 1024 ? significand : (exponent + 15) * 1024 + significand - 1024);
}

/** The bfloat16 with exactly this value; throws when there is none. */
export function bfloatBits(value: number): number {
  const bits = Buffer.alloc(4);
  bits.writeFloatBE(value);
  if (bits.readFloatBE() !== value || bits.readUInt16BE(2) !== 0)
    throw new Error(`${value} is not a bfloat16`);
  return bits.readUInt16BE(0);
}
