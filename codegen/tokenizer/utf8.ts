/**
 * Code points of damaged UTF-8 start here: byte b that belongs to no sequence is given as damagedByte + b.
 */
export const damagedByte = 0x110000;

/**
 * The code point at bytes[at] and its length, as code point x 8 + length in bytes. A byte that starts no
 * whole, shortest form UTF-8 sequence within [at, end) counts as a code point of its own, damagedByte + byte,
 * of length 1.
 */
export function codePointAt(bytes: Uint8Array, at: number, end: number): number {
  const lead = bytes[at];
  if (lead < 0x80) return lead * 8 + 1;
  const length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  const damaged = (damagedByte + lead) * 8 + 1;
  if (lead < 0xc2 || lead > 0xf4 || at + length > end) return damaged;
  let code = lead & (0xff >> (length + 1));
  for (let i = 1; i < length; i++) {
    const next = bytes[at + i];
    if ((next & 0xc0) !== 0x80) return damaged;
    code = (code << 6) | (next & 0x3f);
  }
  const smallest = length === 2 ? 0x80 : length === 3 ? 0x800 : 0x10000;
  const surrogate = code >= 0xd800 && code <= 0xdfff;
  if (code < smallest || surrogate || code > 0x10ffff) return damaged;
  return code * 8 + length;
}

/**
 * Writes the UTF-8 form of a code point, or the byte of a damaged one, at `at`. Returns the position behind
 * it.
 */
export function putCodePoint(bytes: Uint8Array, at: number, code: number): number {
  if (code < 0x80) {
    bytes[at] = code;
    return at + 1;
  }
  if (code >= damagedByte) {
    bytes[at] = code - damagedByte;
    return at + 1;
  }
  const length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  for (let i = length - 1; i > 0; i--, code >>= 6) bytes[at + i] = 0x80 | (code & 0x3f);
  bytes[at] = (0xf00 >> length) | code;
  return at + length;
}

const encoder = new TextEncoder();

/** UTF-8 of a string; a lone surrogate becomes U+FFFD. */
export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}
