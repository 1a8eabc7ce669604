/** RISC-V, 64-bit, with the aliases objdump prints (ret, j, jr, mv, li). */
import type { Instruction, Relocation } from '../disassembly.js';
import { branchTarget } from './branch-target.js';
import type { InstructionSet, StackEffect, Transfer } from './instruction-set.js';

/**
 * Every name in f is floating point, loads and stores included: integer code has no use for those registers.
 * So are vector arithmetic (vf...), comparison (vmf...) and reduction; vfirst finds the first bit of a mask.
 */
function isFloatingPoint({ mnemonic }: Instruction): boolean {
  return /^(?:c\.)?f(?!ence)/.test(mnemonic) || /^v(?:f(?!irst)|mf)/.test(mnemonic);
}

function transfer(instruction: Instruction, previous: Instruction | undefined): Transfer | undefined {
  const mnemonic = instruction.mnemonic.replace(/^c\./, '');
  if (/^[ms]?ret$/.test(mnemonic)) {
    return { kind: 'return' };
  }
  if (/^(?:unimp|ebreak)$/.test(mnemonic)) {
    return { kind: 'stop' };
  }
  if (mnemonic === 'jalr' || mnemonic === 'jr') {
    const isCall = mnemonic === 'jalr' && !/^(?:zero|x0),/.test(instruction.operands);
    return { kind: isCall ? 'call' : 'jump', target: calleeOf(previous) ?? 'indirect' };
  }
  const kind =
    mnemonic === 'jal' || mnemonic === 'call'
      ? 'call'
      : mnemonic === 'j' || mnemonic === 'tail'
        ? 'jump'
        : /^b(?:eq|ne|lt|ge|gt|le)u?z?$/.test(mnemonic)
          ? 'branch'
          : undefined;
  return kind && { kind, target: branchTarget(instruction) ?? 'indirect' };
}

/** A call is auipc and jalr; the relocation of both stands at the auipc. */
function calleeOf(previous: Instruction | undefined) {
  return previous?.mnemonic === 'auipc'
    ? previous.relocations.find(({ type }) => /^R_RISCV_CALL/.test(type))
    : undefined;
}

const registerPlusImmediate = /^(\w+), ?(\w+), ?(-?(?:0x[0-9a-f]+|\d+))$/;

function stackEffect(instruction: Instruction): StackEffect | undefined {
  const { operands } = instruction;
  const mnemonic = instruction.mnemonic.replace(/^c\./, '');
  const sum = registerPlusImmediate.exec(operands);
  // Some versions of objdump print the immediate forms without their i.
  if (sum !== null && /^addi?(?:16sp|4spn)?$/.test(mnemonic)) {
    return moved(sum[1], sum[2], Number(sum[3]));
  }
  if (sum !== null && /^andi?$/.test(mnemonic) && sum[1] === 'sp' && sum[2] === 'sp') {
    return { kind: 'align', bytes: -Number(sum[3]) };
  }
  const copy = mnemonic === 'mv' ? /^(\w+), ?(\w+)$/.exec(operands) : null;
  if (copy !== null) {
    return moved(copy[1], copy[2], 0);
  }
  const writesStackPointer = /^sp\b/.test(operands) && !/^(?:s[bhwd]|b\w+)$/.test(mnemonic);
  return writesStackPointer ? { kind: 'unknown' } : undefined;
}

/** to = from + offset, as far as sp is one of them. */
function moved(to: string, from: string, offset: number): StackEffect | undefined {
  if (to === 'sp') {
    return from === 'sp' ? { kind: 'move', bytes: -offset } : { kind: 'restore', register: from, offset };
  }
  return from === 'sp' ? { kind: 'save', register: to, offset } : undefined;
}

/**
 * The low half of an address names the instruction with the high half; relaxation and alignment name nothing.
 */
function addressOf(relocation: Relocation): Relocation | undefined {
  return /^(?:R_RISCV_(?:PCREL_LO12|RELAX|ALIGN)|%pcrel_lo)/.test(relocation.type) ? undefined : relocation;
}

export const riscv64: InstructionSet = {
  comment: /\s+#.*$/,
  listingComment: /#.*$/,
  prefixes: /^(?!)/,
  returnAddressBytes: 0,
  destination: 'first',
  transfer,
  stackEffect,
  addressOf,
  isFloatingPoint,
};
