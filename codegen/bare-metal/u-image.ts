/** U-Boot's legacy image format (include/image.h): a header of 64 bytes, big-endian, before the bytes of memory. */
import { crc32 } from '../layout/crc32.js';
import type { BareMetalBoard } from './bare-metal-board.js';

export const uImageHeaderBytes = 64;

const IH_MAGIC = 0x27051956;
const IH_OS_U_BOOT = 17;
const IH_TYPE_STANDALONE = 1;
const IH_COMP_NONE = 0;
const IH_ARCH = { aarch64: 22, riscv64: 26, x86_64: 24 } as const;

/** A standalone program, that bootm checks and begins at the load address. The time in it is 0: the same bytes from the same model. */
export function uImage({ name, arch, loadAddress }: BareMetalBoard, memory: Buffer): Buffer {
  const header = Buffer.alloc(uImageHeaderBytes);
  header.writeUInt32BE(IH_MAGIC, 0);
  header.writeUInt32BE(memory.length, 12);
  header.writeUInt32BE(loadAddress, 16);
  header.writeUInt32BE(loadAddress, 20); // where it begins
  header.writeUInt32BE(crc32(memory), 24);
  header.set([IH_OS_U_BOOT, IH_ARCH[arch], IH_TYPE_STANDALONE, IH_COMP_NONE], 28);
  header.write(name.slice(0, 31), 32, 'latin1');
  header.writeUInt32BE(crc32(header), 4);
  return Buffer.concat([header, memory]);
}
