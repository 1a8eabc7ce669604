/** Remainders of every byte, reflected Castagnoli polynomial 0x82f63b78. */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit++) {
    remainder = (remainder >>> 1) ^ (remainder & 1 ? 0x82f63b78 : 0);
  }
  return remainder;
});

/**
 * CRC32C (Castagnoli; RFC 3720, appendix B.4) as an unsigned 32-bit number. Continues `crc`: 0 to start, the previous
 * result to go on. The twin of em_crc32c in templates/runtime.
 */
export function crc32c(bytes: Uint8Array, crc = 0): number {
  let state = ~crc;
  for (const byte of bytes) {
    state = (state >>> 8) ^ TABLE[(state ^ byte) & 0xff];
  }
  return ~state >>> 0;
}
