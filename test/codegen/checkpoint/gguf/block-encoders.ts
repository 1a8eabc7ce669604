/**
 * Encoders of ggml's block types, written from the element's side: for element i of a block, which bits of which byte
 * hold its code. Each returns the bytes and the values that they stand for, computed from codes and scales before
 * anything is packed. The quantization is plain; what counts is the layout.
 */
import { halfBits } from '../safetensors-writer.js';

export interface EncodedBlock {
  readonly bytes: Uint8Array;
  readonly values: number[];
}

export interface BlockEncoder {
  readonly elements: number;
  /** ggml_type. */
  readonly type: number;
  encode(values: Float32Array): EncodedBlock;
}

/** The nearest value that a binary16 holds, of magnitudes up to 65504. */
export function nearestHalf(value: number): number {
  const exponent = Math.max(-14, Math.floor(Math.log2(Math.abs(value) || 1)));
  const step = 2 ** (exponent - 10);
  return Math.round(value / step) * step;
}

const clamp = (value: number, least: number, most: number) => Math.min(most, Math.max(least, value));
const largest = (values: Iterable<number>) => Math.max(...Array.from(values, Math.abs));

class Bytes {
  readonly bytes: Uint8Array;

  constructor(length: number) {
    this.bytes = new Uint8Array(length);
  }

  half(at: number, value: number): void {
    const bits = halfBits(value);
    this.bytes[at] = bits & 255;
    this.bytes[at + 1] = bits >> 8;
  }

  /** Puts a value into some bits of a byte, which were 0. */
  bits(at: number, shift: number, value: number): void {
    this.bytes[at]! |= (value << shift) & 255;
  }
}

/** Nibbles of 32 values: the first half of them low, the second half high. */
function nibbles(out: Bytes, at: number, codes: readonly number[]): void {
  for (const [i, code] of codes.entries()) out.bits(at + (i % 16), i < 16 ? 0 : 4, code & 15);
}

function symmetric(type: number, bits: 4 | 5): BlockEncoder {
  const zero = 2 ** (bits - 1);
  return {
    elements: 32,
    type,
    encode(values) {
      const d = nearestHalf(largest(values) / (zero - 1));
      const codes = Array.from(values, (value) =>
        clamp(Math.round(value / (d || 1)) + zero, 0, 2 * zero - 1),
      );
      const out = new Bytes(bits === 4 ? 18 : 22);
      out.half(0, d);
      if (bits === 5) for (const [i, code] of codes.entries()) out.bits(2 + (i >> 3), i & 7, code >> 4);
      nibbles(out, bits === 4 ? 2 : 6, codes);
      return { bytes: out.bytes, values: codes.map((code) => d * (code - zero)) };
    },
  };
}

function withMinimum(type: number, bits: 4 | 5): BlockEncoder {
  return {
    elements: 32,
    type,
    encode(values) {
      const m = nearestHalf(Math.min(...values));
      const d = nearestHalf((Math.max(...values) - m) / (2 ** bits - 1));
      const codes = Array.from(values, (value) =>
        clamp(Math.round((value - m) / (d || 1)), 0, 2 ** bits - 1),
      );
      const out = new Bytes(bits === 4 ? 20 : 24);
      out.half(0, d);
      out.half(2, m);
      if (bits === 5) for (const [i, code] of codes.entries()) out.bits(4 + (i >> 3), i & 7, code >> 4);
      nibbles(out, bits === 4 ? 4 : 8, codes);
      return { bytes: out.bytes, values: codes.map((code) => Math.fround(d * code + m)) };
    },
  };
}

const eightBits: BlockEncoder = {
  elements: 32,
  type: 8,
  encode(values) {
    const d = nearestHalf(largest(values) / 127);
    const codes = Array.from(values, (value) => clamp(Math.round(value / (d || 1)), -127, 127));
    const out = new Bytes(34);
    out.half(0, d);
    for (const [i, code] of codes.entries()) out.bits(2 + i, 0, code & 255);
    return { bytes: out.bytes, values: codes.map((code) => d * code) };
  },
};

const nonLinear = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

function nearestNonLinear(value: number): number {
  const distances = nonLinear.map((level) => Math.abs(level - value));
  return distances.indexOf(Math.min(...distances));
}

const nonLinear32: BlockEncoder = {
  elements: 32,
  type: 20,
  encode(values) {
    const d = nearestHalf(largest(values) / 113);
    const codes = Array.from(values, (value) => nearestNonLinear(value / (d || 1)));
    const out = new Bytes(18);
    out.half(0, d);
    nibbles(out, 2, codes);
    return { bytes: out.bytes, values: codes.map((code) => d * nonLinear[code]!) };
  },
};

/** Groups of a block of 256 with an integer scale each: scale d is what the largest of them needs. */
function groupScales(
  values: Float32Array,
  size: number,
  span: (group: Float32Array) => number,
  most: number,
) {
  const groups = Array.from({ length: 256 / size }, (_, g) => values.subarray(g * size, (g + 1) * size));
  const spans = groups.map(span);
  const d = nearestHalf(largest(spans) / most);
  return { groups, d, scales: spans.map((value) => clamp(Math.round(value / (d || 1)), -most, most)) };
}

const lowest = (group: Float32Array) => -Math.min(0, ...group);
const highest = (group: Float32Array) => Math.max(0, ...group);

const twoBits: BlockEncoder = {
  elements: 256,
  type: 10,
  encode(values) {
    const { d, scales, groups } = groupScales(values, 16, (g) => (highest(g) + lowest(g)) / 3, 15);
    const { d: dmin, scales: minima } = groupScales(values, 16, lowest, 15);
    const out = new Bytes(84);
    const result = groups.flatMap((group, g) => {
      out.bits(g, 0, scales[g]!);
      out.bits(g, 4, minima[g]!);
      return Array.from(group, (value, i) => {
        const step = d * scales[g]! || 1;
        const code = clamp(Math.round((value + dmin * minima[g]!) / step), 0, 3);
        const element = 16 * g + i;
        out.bits(16 + 32 * (element >> 7) + (element & 31), 2 * ((element >> 5) & 3), code);
        return Math.fround(d * scales[g]! * code - dmin * minima[g]!);
      });
    });
    out.half(80, d);
    out.half(82, dmin);
    return { bytes: out.bytes, values: result };
  },
};

const threeBits: BlockEncoder = {
  elements: 256,
  type: 11,
  encode(values) {
    // The sign of a group's scale alternates, so that negative scales are covered.
    const { d, scales, groups } = groupScales(values, 16, (g) => largest(g) / 3, 31);
    const out = new Bytes(110);
    const result = groups.flatMap((group, g) => {
      const scale = g % 2 === 0 ? scales[g]! : -scales[g]!;
      const stored = scale + 32;
      out.bits(96 + (g % 8), g < 8 ? 0 : 4, stored & 15);
      out.bits(104 + (g % 4), 2 * Math.floor(g / 4), stored >> 4);
      return Array.from(group, (value, i) => {
        const code = clamp(Math.round(value / (d * scale || 1)) + 4, 0, 7);
        const element = 16 * g + i;
        out.bits(32 + 32 * (element >> 7) + (element & 31), 2 * ((element >> 5) & 3), code & 3);
        out.bits(element & 31, element >> 5, code >> 2);
        return d * scale * (code - 4);
      });
    });
    out.half(108, d);
    return { bytes: out.bytes, values: result };
  },
};

/** Eight scales and eight minima of 6 bits in 12 bytes. */
function packScales(out: Bytes, at: number, scales: readonly number[], minima: readonly number[]): void {
  for (let g = 0; g < 4; g++) {
    out.bits(at + g, 0, scales[g]!);
    out.bits(at + 4 + g, 0, minima[g]!);
    out.bits(at + 8 + g, 0, scales[4 + g]! & 15);
    out.bits(at + 8 + g, 4, minima[4 + g]! & 15);
    out.bits(at + g, 6, scales[4 + g]! >> 4);
    out.bits(at + 4 + g, 6, minima[4 + g]! >> 4);
  }
}

function scaledWithMinimum(type: number, bits: 4 | 5): BlockEncoder {
  const most = 2 ** bits - 1;
  const codesAt = bits === 4 ? 16 : 48;
  return {
    elements: 256,
    type,
    encode(values) {
      const { d, scales, groups } = groupScales(values, 32, (g) => (highest(g) + lowest(g)) / most, 63);
      const { d: dmin, scales: minima } = groupScales(values, 32, lowest, 63);
      const out = new Bytes(bits === 4 ? 144 : 176);
      out.half(0, d);
      out.half(2, dmin);
      packScales(out, 4, scales, minima);
      const result = groups.flatMap((group, g) =>
        Array.from(group, (value, i) => {
          const code = clamp(Math.round((value + dmin * minima[g]!) / (d * scales[g]! || 1)), 0, most);
          out.bits(codesAt + 32 * (g >> 1) + i, 4 * (g & 1), code & 15);
          if (bits === 5) out.bits(16 + i, g, code >> 4);
          return Math.fround(d * scales[g]! * code - dmin * minima[g]!);
        }),
      );
      return { bytes: out.bytes, values: result };
    },
  };
}

const sixBits: BlockEncoder = {
  elements: 256,
  type: 14,
  encode(values) {
    const { d, scales, groups } = groupScales(values, 16, (g) => largest(g) / 31, 127);
    const out = new Bytes(210);
    const result = groups.flatMap((group, g) => {
      const scale = g % 3 === 0 ? -scales[g]! : scales[g]!;
      out.bits(192 + g, 0, scale & 255);
      return Array.from(group, (value, i) => {
        const code = clamp(Math.round(value / (d * scale || 1)) + 32, 0, 63);
        const element = 16 * g + i;
        const [half, run, within] = [element >> 7, (element >> 5) & 3, element & 31];
        out.bits(64 * half + 32 * (run & 1) + within, run < 2 ? 0 : 4, code & 15);
        out.bits(128 + 32 * half + within, 2 * run, code >> 4);
        return d * scale * (code - 32);
      });
    });
    out.half(208, d);
    return { bytes: out.bytes, values: result };
  },
};

const nonLinear256: BlockEncoder = {
  elements: 256,
  type: 23,
  encode(values) {
    const { d, scales, groups } = groupScales(values, 32, (g) => largest(g) / 113, 31);
    const out = new Bytes(136);
    out.half(0, d);
    const result = groups.flatMap((group, g) => {
      const scale = g % 2 === 0 ? scales[g]! : -scales[g]!;
      const stored = scale + 32;
      out.bits(4 + (g >> 1), 4 * (g & 1), stored & 15);
      out.bits(2 + (g >> 2), 2 * (g & 3), stored >> 4);
      const codes = Array.from(group, (value) => nearestNonLinear(value / (d * scale || 1)));
      nibbles(out, 8 + 16 * g, codes);
      return codes.map((code) => d * scale * nonLinear[code]!);
    });
    return { bytes: out.bytes, values: result };
  },
};

export const blockEncoders: Readonly<Record<string, BlockEncoder>> = {
  Q4_0: symmetric(2, 4),
  Q4_1: withMinimum(3, 4),
  Q5_0: symmetric(6, 5),
  Q5_1: withMinimum(7, 5),
  Q8_0: eightBits,
  Q2_K: twoBits,
  Q3_K: threeBits,
  Q4_K: scaledWithMinimum(12, 4),
  Q5_K: scaledWithMinimum(13, 5),
  Q6_K: sixBits,
  IQ4_NL: nonLinear32,
  IQ4_XS: nonLinear256,
};

const floats = { F32: 0, F16: 1, BF16: 30 } as const;

/** A matrix in some type: its bytes, the number of the type and the values it holds. */
export function encodeMatrix(
  dtype: string,
  values: Float32Array,
): { type: number; bytes: Uint8Array; values: Float32Array } {
  const encoder = blockEncoders[dtype];
  if (encoder === undefined) return encodeFloatMatrix(dtype as keyof typeof floats, values);
  const parts: Uint8Array[] = [];
  const held = new Float32Array(values.length);
  for (let at = 0; at < values.length; at += encoder.elements) {
    const block = encoder.encode(values.subarray(at, at + encoder.elements));
    parts.push(block.bytes);
    held.set(block.values, at);
  }
  return { type: encoder.type, bytes: Buffer.concat(parts), values: held };
}

function encodeFloatMatrix(dtype: keyof typeof floats, values: Float32Array) {
  const type = floats[dtype];
  if (dtype === 'F32') return { type, bytes: new Uint8Array(values.slice().buffer), values };
  const words = new Uint16Array(values.length);
  const held = values.map((value, i) => {
    if (dtype === 'F16') {
      const half = nearestHalf(value);
      words[i] = halfBits(half);
      return half;
    }
    const bits = new Uint32Array(Float32Array.of(value).buffer)[0]!;
    words[i] = bits >>> 16;
    return new Float32Array(Uint32Array.of((bits >>> 16) << 16).buffer)[0]!;
  });
  return { type, bytes: new Uint8Array(words.buffer), values: held };
}
