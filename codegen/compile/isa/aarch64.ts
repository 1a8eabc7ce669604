/** AArch64. */
import type { Instruction } from '../disassembly.js';
import { branchTarget } from './branch-target.js';
import type { InstructionSet, StackEffect, Transfer } from './instruction-set.js';

/**
 * Every name in f is floating point; fmov only moves. bf... are bfloat16, apart from the bit fields bfi, bfm,
 * bfc and bfxil.
 */
function isFloatingPoint(instruction: Instruction, before: readonly Instruction[]): boolean {
  const { mnemonic } = instruction;
  const named = /^(?:f(?!mov)|[su]cvtf|bf(?:cvt|dot|ml|mm))/.test(mnemonic);
  return named && !(mnemonic === 'fneg' && finishesConstant(instruction, before));
}

/**
 * LLVM has no shorter way to some vectors of integers than to flip the sign bits of another constant:
 * `mvni v3.4s, #127, msl #8` and `fneg v3.4s, v3.4s` make 0x7fff8000.
 */
function finishesConstant({ operands }: Instruction, before: readonly Instruction[]): boolean {
  const register = /^v(\d+)\.\w+, v\1\.\w+$/.exec(operands)?.[1];
  const written = new RegExp(`^[bhsdqv]${register}\\b`);
  for (const earlier of [...before].reverse()) {
    if (register === undefined || transfer(earlier) !== undefined) {
      return false;
    }
    if (written.test(earlier.operands)) {
      return /^(?:movi|mvni)$/.test(earlier.mnemonic);
    }
  }
  return false;
}

function transfer(instruction: Instruction): Transfer | undefined {
  const { mnemonic } = instruction;
  if (/^(?:ret|eret)/.test(mnemonic)) {
    return { kind: 'return' };
  }
  if (/^(?:udf|brk|hlt)$/.test(mnemonic)) {
    return { kind: 'stop' };
  }
  if (/^bl?ra/.test(mnemonic) || mnemonic === 'blr' || mnemonic === 'br') {
    return { kind: mnemonic.startsWith('bl') ? 'call' : 'jump', target: 'indirect' };
  }
  const kinds = { bl: 'call', b: 'jump' } as const;
  const kind =
    kinds[mnemonic as keyof typeof kinds] ?? (/^(?:b\.|cbn?z|tbn?z)/.test(mnemonic) ? 'branch' : undefined);
  return kind && { kind, target: branchTarget(instruction) ?? 'indirect' };
}

const number = '#(-?(?:0x[0-9a-f]+|\\d+))';
/** `add rd, rn, #imm` with the optional shift of the immediate by 12. */
const registerPlusImmediate = new RegExp(`^(sp|x\\d+), (sp|x\\d+), ${number}(, lsl #12)?$`);
const beforeAccess = new RegExp(`\\[sp, ${number}\\]!$`);
const afterAccess = new RegExp(`\\[sp\\], ${number}$`);
const aligned = /^sp, (sp|x\d+), #(0xf+[0-9a-f]*|-\d+)$/;

function stackEffect({ mnemonic, operands }: Instruction): StackEffect | undefined {
  const access = beforeAccess.exec(operands) ?? afterAccess.exec(operands);
  if (access !== null) {
    return { kind: 'move', bytes: -Number(access[1]) };
  }
  const sum = registerPlusImmediate.exec(operands);
  if (sum !== null && (mnemonic === 'add' || mnemonic === 'sub')) {
    const [, to, from, digits, shift] = sum;
    const amount = Number(digits) * (shift === undefined ? 1 : 4096);
    return moved(to, from, mnemonic === 'add' ? amount : -amount);
  }
  const copy = mnemonic === 'mov' ? /^(sp|x\d+), (sp|x\d+)$/.exec(operands) : null;
  if (copy !== null) {
    return moved(copy[1], copy[2], 0);
  }
  const mask = mnemonic === 'and' ? aligned.exec(operands) : null;
  if (mask !== null) {
    const bytes = -Number(BigInt.asIntN(64, BigInt(mask[2])));
    return mask[1] === 'sp' ? { kind: 'align', bytes } : { kind: 'align', register: mask[1], bytes };
  }
  const writesStackPointer = /^sp,/.test(operands) && !/^(?:cmp|cmn|tst)$/.test(mnemonic);
  return writesStackPointer ? { kind: 'unknown' } : undefined;
}

/** to = from + offset, as far as sp is one of them. */
function moved(to: string, from: string, offset: number): StackEffect | undefined {
  if (to === 'sp') {
    return from === 'sp' ? { kind: 'move', bytes: -offset } : { kind: 'restore', register: from, offset };
  }
  return from === 'sp' ? { kind: 'save', register: to, offset } : undefined;
}

export const aarch64: InstructionSet = {
  comment: /\s*(?:\/\/|;).*$/,
  listingComment: /\/\/.*$/,
  prefixes: /^(?!)/,
  returnAddressBytes: 0,
  destination: 'first',
  transfer,
  stackEffect,
  addressOf: (relocation) => relocation,
  isFloatingPoint,
};
