/** How much memory a linked image takes. */
import { EmbedError } from '../diagnostics/error.js';

/** System V ABI, chapter 5: program headers of 64-bit ELF files. */
const PT_LOAD = 1;
const programHeaderBytes = 56;

/** Bytes from the lowest address that is loaded to the end of the highest, zeros included. Throws EM3004 for what is no ELF. */
export function imageExtent(elf: Buffer, name: string): number {
  try {
    const table = Number(elf.readBigUInt64LE(0x20));
    const count = elf.readUInt16LE(0x38);
    const segments = Array.from({ length: count }, (_, i) => table + i * programHeaderBytes)
      .filter((at) => elf.readUInt32LE(at) === PT_LOAD)
      .map((at) => {
        const start = Number(elf.readBigUInt64LE(at + 0x10));
        return { start, end: start + Number(elf.readBigUInt64LE(at + 0x28)) };
      });
    const extent =
      Math.max(...segments.map(({ end }) => end)) - Math.min(...segments.map(({ start }) => start));
    if (Number.isSafeInteger(extent) && extent > 0) return extent;
  } catch {
    // Buffers refuse to be read outside their bounds with RangeError.
  }
  throw new EmbedError('EM3004', { where: name, why: 'the linker made no ELF file with segments' });
}
