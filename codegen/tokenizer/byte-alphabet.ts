/**
 * GPT-2's way of writing bytes as characters: printable bytes of Latin-1 stand for themselves, the other 68
 * for U+0100 and up, in their order.
 */
const characters = Array.from({ length: 256 }, (_, byte) => byte);
let nextSubstitute = 0x100;
for (let byte = 0; byte < 256; byte++) {
  const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  if (!printable) characters[byte] = nextSubstitute++;
}

const bytes = new Map(characters.map((character, byte) => [character, byte]));

/** The character that stands for a byte. */
export function characterOfByte(byte: number): string {
  return String.fromCharCode(characters[byte]);
}

/** The bytes that a token stands for, or null if it has a character outside the alphabet. */
export function bytesOfToken(token: string): Uint8Array | null {
  const out = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = bytes.get(token.charCodeAt(i));
    if (byte === undefined) return null;
    out[i] = byte;
  }
  return out;
}
