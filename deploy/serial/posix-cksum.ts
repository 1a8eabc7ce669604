/** The checksum of cksum(1), IEEE Std 1003.1: CRC-32 with polynomial 0x04C11DB7, most significant bit first, the length appended. */

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x80000000 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  return crc >>> 0;
});

/** As cksum prints it: an unsigned 32-bit number. */
export function posixCksum(bytes: Uint8Array): number {
  let crc = 0;
  const take = (byte: number) => {
    crc = ((crc << 8) ^ table[((crc >>> 24) ^ byte) & 0xff]) >>> 0;
  };
  for (const byte of bytes) take(byte);
  for (let length = bytes.length; length > 0; length = Math.floor(length / 256)) take(length & 0xff);
  return ~crc >>> 0;
}
