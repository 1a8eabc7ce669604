import type { Instruction, Relocation } from '../disassembly.js';

/** Relocations that only tell the linker what it may shorten. */
const isHint = ({ type }: Relocation) => type === 'R_RISCV_RELAX' || type === 'R_RISCV_ALIGN';

/**
 * Where a direct call, jump or branch goes: its relocation if the linker fills it in, else the address that
 * objdump prints last, as in `cbz w0, 54 <em_norm+0x54>` (LLVM: `0x54`). undefined if there is neither.
 */
export function branchTarget(instruction: Instruction): Relocation | number | undefined {
  const relocation = instruction.relocations.find((one) => !isHint(one));
  if (relocation !== undefined) {
    return relocation;
  }
  const address = /(?:^|[\s,])(?:0x)?([0-9a-f]+)(?: <[^>]*>)?$/.exec(instruction.operands);
  return address === null ? undefined : Number.parseInt(address[1], 16);
}
