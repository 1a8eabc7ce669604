/**
 * The quantized types of ggml as they lie in a GGUF file: blocks of 32 or 256 values with their scales, after
 * ggml-common.h (layouts) and ggml-quants.c (meaning) of https://github.com/ggml-org/ggml. Products of a
 * binary16 scale, an integer scale and a code fit float32, so a value is rounded at most once.
 */
import { halfValues } from '../float-decoding.js';
import type { TensorCodec } from '../tensor-types.js';

export type BlockDtype =
  | 'Q4_0'
  | 'Q4_1'
  | 'Q5_0'
  | 'Q5_1'
  | 'Q8_0'
  | 'Q2_K'
  | 'Q3_K'
  | 'Q4_K'
  | 'Q5_K'
  | 'Q6_K'
  | 'IQ4_NL'
  | 'IQ4_XS';

/** Decodes the block that begins at bytes[at] to out[to] and on. */
type DecodeBlock = (bytes: Uint8Array, at: number, out: Float32Array, to: number) => void;

function codec(elements: number, blockBytes: number, block: DecodeBlock): TensorCodec {
  return {
    elements,
    bytes: blockBytes,
    decode(bytes, out) {
      for (let at = 0, to = 0; to < out.length; at += blockBytes, to += elements) block(bytes, at, out, to);
    },
  };
}

export const blockCodecs: Readonly<Record<BlockDtype, TensorCodec>> = {
  Q4_0: codec(32, 18, decodeQ4of0),
  Q4_1: codec(32, 20, decodeQ4of1),
  Q5_0: codec(32, 22, decodeQ5of0),
  Q5_1: codec(32, 24, decodeQ5of1),
  Q8_0: codec(32, 34, decodeQ8of0),
  Q2_K: codec(256, 84, decodeQ2K),
  Q3_K: codec(256, 110, decodeQ3K),
  Q4_K: codec(256, 144, decodeQ4K),
  Q5_K: codec(256, 176, decodeQ5K),
  Q6_K: codec(256, 210, decodeQ6K),
  IQ4_NL: codec(32, 18, decodeIq4Nl),
  IQ4_XS: codec(256, 136, decodeIq4Xs),
};

function half(bytes: Uint8Array, at: number): number {
  return halfValues()[bytes[at]! | (bytes[at + 1]! << 8)]!;
}

function word(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

/** {half d; u8 qs[16]}: low nibbles are values 0 to 15, high nibbles 16 to 31; d (q - 8). */
function decodeQ4of0(bytes: Uint8Array, at: number, out: Float32Array, to: number): void {
  const d = half(bytes, at);
  for (let j = 0; j < 16; j++) {
    const q = bytes[at + 2 + j]!;
    out[to + j] = d * ((q & 15) - 8);
    out[to + 16 + j] = d * ((q >> 4) - 8);
  }
}

/** {half d, m; u8 qs[16]}: d q + m. */
function decodeQ4of1(bytes: Uint8Array, at: number, out: Float32Array, to: number): void {
  const d = half(bytes, at);
  const m = half(bytes, at + 2);
  for (let j = 0; j < 16; j++) {
    const q = bytes[at + 4 + j]!;
    out[to + j] = d * (q & 15) + m;
    out[to + 16 + j] = d * (q >> 4) + m;
  }
}

/** {half d; u32 qh; u8 qs[16]}: bit i of qh is the fifth bit of value i; d (q - 16). */
function decodeQ5of0(bytes: Uint8Array, at: number, out: Float32Array, to: number): void {
  const d = half(bytes, at);
  const high = word(bytes, at + 2);
  for (let j = 0; j < 16; j++) {
    const q = bytes[at + 6 + j]!;
    out[to + j] = d * (((q & 15) | (((high >>> j) & 1) << 4)) - 16);
    out[to + 16 + j] = d * (((q >> 4) | (((high >>> (j + 16)) & 1) << 4)) - 16);
  }
}

/** {half d, m; u32 qh; u8 qs[16]}: d q + m. */
function decodeQ5of1(bytes: Uint8Array, at: number, out: Float32Array, to: number): void {
  const d = half(bytes, at);
  const m = half(bytes, at + 2);
  const high = word(bytes, at + 4);
  for (let j = 0; j < 16; j++) {
    const q = bytes[at + 8 + j]!;
    out[to + j] = d * ((q & 15) | (((high >>> j) & 1) << 4)) + m;
    out[to + 16 + j] = d * ((q >> 4) | (((high >>> (j + 16)) & 1) << 4)) + m;
  }
}

/** {half d; i8 qs[32]}: d q. */
function decodeQ8of0(bytes: Uint8Array, at: number, out: Float32Array, to: number): void {
  const d = half(bytes, at);
  for (let j = 0; j < 32; j++) out[to + j] = d * ((bytes[at + 2 + j]! << 24) >> 24);
}

/** {u8 scales[16]; u8 qs[64]; half d, dmin}: groups of 16; d (scale & 15) q - dmin (scale >> 4). */
function decodeQ2K(bytes: Uint8Array, at: number, out: Float32Array, to: number): void {
  const d = half(bytes, at + 80);
  const dmin = half(bytes, at + 82);
  for (let group = 0; group < 16; group++) {
    const scale = bytes[at + group]!;
    const factor = d * (scale & 15);
    const offset = dmin * (scale >> 4);
    const codes = at + 16 + codeOffset(group);
    const shift = codeShift(group);
    for (let j = 0; j < 16; j++) {
      out[to + 16 * group + j] = factor * ((bytes[codes + j]! >> shift) & 3) - offset;
    }
  }
}

/**
 * {u8 hmask[32]; u8 qs[64]; u8 scales[12]; half d}: groups of 16 with signed 6-bit scales; a cleared bit of
 * hmask takes 4 from the code.
 */
function decodeQ3K(bytes: Uint8Array, at: number, out: Float32Array, to: number): void {
  const d = half(bytes, at + 108);
  for (let group = 0; group < 16; group++) {
    const nibble = (bytes[at + 96 + (group & 7)]! >> (group < 8 ? 0 : 4)) & 15;
    const top = (bytes[at + 104 + (group & 3)]! >> (2 * (group >> 2))) & 3;
    const factor = d * ((nibble | (top << 4)) - 32);
    const codes = at + 32 + codeOffset(group);
    const shift = codeShift(group);
    const mask = at + 16 * (group & 1);
    for (let j = 0; j < 16; j++) {
      const third = (bytes[mask + j]! >> (group >> 1)) & 1;
      out[to + 16 * group + j] = factor * (((bytes[codes + j]! >> shift) & 3) - (third === 1 ? 0 : 4));
    }
  }
}

/** Where the 2-bit codes of a group of 16 begin: 128 values share 32 bytes, two bits of each a run of 32. */
function codeOffset(group: number): number {
  return 32 * (group >> 3) + 16 * (group & 1);
}

function codeShift(group: number): number {
  return 2 * ((group >> 1) & 3);
}

/** {half d, dmin; u8 scales[12]; u8 qs[128]}: groups of 32; d scale q - dmin min. */
function decodeQ4K(bytes: Uint8Array, at: number, out: Float32Array, to: number): void {
  const d = half(bytes, at);
  const dmin = half(bytes, at + 2);
  for (let group = 0; group < 8; group++) {
    const factor = d * packedScale(bytes, at + 4, group);
    const offset = dmin * packedMin(bytes, at + 4, group);
    const codes = at + 16 + 32 * (group >> 1);
    const shift = 4 * (group & 1);
    for (let j = 0; j < 32; j++) {
      out[to + 32 * group + j] = factor * ((bytes[codes + j]! >> shift) & 15) - offset;
    }
  }
}

/** {half d, dmin; u8 scales[12]; u8 qh[32]; u8 qs[128]}: as Q4_K, bit `group` of qh is the fifth bit. */
function decodeQ5K(bytes: Uint8Array, at: number, out: Float32Array, to: number): void {
  const d = half(bytes, at);
  const dmin = half(bytes, at + 2);
  for (let group = 0; group < 8; group++) {
    const factor = d * packedScale(bytes, at + 4, group);
    const offset = dmin * packedMin(bytes, at + 4, group);
    const codes = at + 48 + 32 * (group >> 1);
    const shift = 4 * (group & 1);
    for (let j = 0; j < 32; j++) {
      const fifth = (bytes[at + 16 + j]! >> group) & 1;
      out[to + 32 * group + j] = factor * (((bytes[codes + j]! >> shift) & 15) | (fifth << 4)) - offset;
    }
  }
}

/** Eight 6-bit scales and eight 6-bit minima in 12 bytes: the last four of each lend bits from the first. */
function packedScale(bytes: Uint8Array, at: number, group: number): number {
  if (group < 4) return bytes[at + group]! & 63;
  return (bytes[at + group + 4]! & 15) | ((bytes[at + group - 4]! >> 6) << 4);
}

function packedMin(bytes: Uint8Array, at: number, group: number): number {
  if (group < 4) return bytes[at + group + 4]! & 63;
  return (bytes[at + group + 4]! >> 4) | ((bytes[at + group]! >> 6) << 4);
}

/** {u8 ql[128]; u8 qh[64]; i8 scales[16]; half d}: groups of 16; d scale (q - 32). */
function decodeQ6K(bytes: Uint8Array, at: number, out: Float32Array, to: number): void {
  const d = half(bytes, at + 208);
  for (let group = 0; group < 16; group++) {
    const factor = d * ((bytes[at + 192 + group]! << 24) >> 24);
    // 128 values are four runs of 32: the low nibbles of two runs, then the high nibbles of the same bytes.
    const run = (group >> 1) & 3;
    const inRun = 16 * (group & 1);
    const low = at + 64 * (group >> 3) + 32 * (run & 1) + inRun;
    const high = at + 128 + 32 * (group >> 3) + inRun;
    for (let j = 0; j < 16; j++) {
      const nibble = (bytes[low + j]! >> (4 * (run >> 1))) & 15;
      const top = (bytes[high + j]! >> (2 * run)) & 3;
      out[to + 16 * group + j] = factor * ((nibble | (top << 4)) - 32);
    }
  }
}

/** The 16 values of the non-linear 4-bit types. */
const nonLinear = Int8Array.of(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);

/** {half d; u8 qs[16]}: d nonLinear[q]. */
function decodeIq4Nl(bytes: Uint8Array, at: number, out: Float32Array, to: number): void {
  const d = half(bytes, at);
  for (let j = 0; j < 16; j++) {
    const q = bytes[at + 2 + j]!;
    out[to + j] = d * nonLinear[q & 15]!;
    out[to + 16 + j] = d * nonLinear[q >> 4]!;
  }
}

/** {half d; u16 scales_h; u8 scales_l[4]; u8 qs[128]}: groups of 32; d (scale - 32) nonLinear[q]. */
function decodeIq4Xs(bytes: Uint8Array, at: number, out: Float32Array, to: number): void {
  const d = half(bytes, at);
  const high = bytes[at + 2]! | (bytes[at + 3]! << 8);
  for (let group = 0; group < 8; group++) {
    const low = (bytes[at + 4 + (group >> 1)]! >> (4 * (group & 1))) & 15;
    const factor = d * ((low | (((high >> (2 * group)) & 3) << 4)) - 32);
    for (let j = 0; j < 16; j++) {
      const q = bytes[at + 8 + 16 * group + j]!;
      out[to + 32 * group + j] = factor * nonLinear[q & 15]!;
      out[to + 32 * group + 16 + j] = factor * nonLinear[q >> 4]!;
    }
  }
}
