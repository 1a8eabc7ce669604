let halfTable: Float32Array | null = null;

/**
 * Little-endian IEEE 754 binary32 ('F32'), binary16 ('F16') or bfloat16 values widened to float32, each
 * exactly.
 *
 * `bytes` must start at a multiple of the element size in its buffer. `out` has one float an element.
 * Returns the index of the first NaN or infinite element, or -1 when all are finite.
 */
export function decodeFloats(dtype: 'F32' | 'F16' | 'BF16', bytes: Uint8Array, out: Float32Array): number {
  if (dtype === 'F32') {
    const floats = new Float32Array(bytes.buffer, bytes.byteOffset, out.length);
    // Decoding in place saves the copy for the caller that read the file straight into `out`.
    if (floats.buffer !== out.buffer || floats.byteOffset !== out.byteOffset) out.set(floats);
  } else {
    const words = new Uint16Array(bytes.buffer, bytes.byteOffset, out.length);
    if (dtype === 'BF16') widenBfloats(words, out);
    else widenHalves(words, out);
  }
  return firstNonFinite(out);
}

/** A bfloat16 is the upper half of the float32 with the same value. */
function widenBfloats(words: Uint16Array, out: Float32Array): void {
  const bits = new Uint32Array(out.buffer, out.byteOffset, out.length);
  for (let i = 0; i < words.length; i++) bits[i] = words[i]! << 16;
}

function widenHalves(words: Uint16Array, out: Float32Array): void {
  const table = halfValues();
  for (let i = 0; i < words.length; i++) out[i] = table[words[i]!]!;
}

/** The values of all 65,536 binary16 patterns, by pattern. Built when it is first needed. */
export function halfValues(): Float32Array {
  halfTable ??= buildHalfTable();
  return halfTable;
}

/**
 * All 65,536 binary16 values: 1 sign, 5 exponent (bias 15) and 10 fraction bits. Every one fits a float32.
 */
function buildHalfTable(): Float32Array {
  const table = new Float32Array(1 << 16);
  for (let half = 0; half < 1 << 15; half++) {
    const exponent = half >> 10;
    const fraction = half & 0x3ff;
    let value: number;
    if (exponent === 0) value = fraction * 2 ** -24;
    else if (exponent === 31) value = fraction === 0 ? Infinity : NaN;
    else value = (1024 + fraction) * 2 ** (exponent - 25);
    table[half] = value;
    table[half | 0x8000] = -value;
  }
  return table;
}

/** Index of the first NaN or infinite value, or -1. */
export function firstNonFinite(floats: Float32Array): number {
  const bits = new Uint32Array(floats.buffer, floats.byteOffset, floats.length);
  for (let i = 0; i < bits.length; i++) {
    if ((bits[i]! & 0x7f800000) === 0x7f800000) return i;
  }
  return -1;
}
