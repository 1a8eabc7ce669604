/**
 * Blocks of XMODEM, XMODEM-1K and YMODEM (Forsberg, "XMODEM/YMODEM Protocol Reference", 1988): SOH or STX, the number of the block and
 * its complement, 128 or 1024 bytes, and a checksum of 8 bits or a CRC of 16.
 */
export const xmodem = {
  SOH: 0x01,
  STX: 0x02,
  EOT: 0x04,
  ACK: 0x06,
  NAK: 0x15,
  CAN: 0x18,
  CRC: 0x43,
} as const;

export type BlockBytes = 128 | 1024;
export type BlockCheck = 'sum' | 'crc';

/** Fills the last block of a file (CP/M's end of text). */
const filler = 0x1a;

const crcTable = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = (crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0);
  return crc;
});

/** CRC-16/XMODEM: x^16 + x^12 + x^5 + 1, from 0, highest bit first. */
export function crc16(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) crc = ((crc << 8) & 0xffff) ^ crcTable[(crc >> 8) ^ byte]!;
  return crc;
}

/** `number` counts from 1 (YMODEM's header: 0) and wraps at 256. At most `size` bytes of data. */
export function xmodemBlock(number: number, data: Uint8Array, size: BlockBytes, check: BlockCheck): Buffer {
  const payload = Buffer.alloc(size, filler);
  payload.set(data);
  const head = [size === 128 ? xmodem.SOH : xmodem.STX, number & 0xff, ~number & 0xff];
  const crc = crc16(payload);
  const tail =
    check === 'crc' ? [crc >> 8, crc & 0xff] : [payload.reduce((sum, byte) => (sum + byte) & 0xff, 0)];
  return Buffer.concat([Buffer.from(head), payload, Buffer.from(tail)]);
}

/** YMODEM's block 0: name and size in bytes of the file that follows; null ends the session. */
export function ymodemHeader(file: { readonly name: string; readonly bytes: number } | null): Buffer {
  const payload = Buffer.alloc(128);
  if (file !== null) payload.write(`${file.name.slice(0, 100)}\0${file.bytes}`, 'latin1');
  return xmodemBlock(0, payload, 128, 'crc');
}
