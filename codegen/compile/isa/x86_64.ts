/** x86-64 in AT&T syntax. */
import type { Instruction, Relocation } from '../disassembly.js';
import { branchTarget } from './branch-target.js';
import type { InstructionSet, StackEffect, Transfer } from './instruction-set.js';

/** Moves, shuffles and bitwise logic that carry a floating-point type in their name. */
const typedMoves =
  /^v?(?:mov|maskmov|lddqu|xor|or|and|andn|blend|blendv|blendm|shuf|unpck[lh]|broadcast|perm|insert|extract|gather|scatter|expand|compress)/;

/** Scalar or packed, half, single, double or bfloat16. */
const floatingPointSuffix = /(?:[sp][sdh]|bf16)$/;

function isFloatingPoint({ mnemonic }: Instruction): boolean {
  if (/^(?:f|v?cvt|v?u?comi|vfn?m|vdpbf|pf[a-z]|pi2f)/.test(mnemonic)) {
    return true; // x87, conversions, comparisons, fused multiply-add, 3DNow!
  }
  // Names in p are integer (pabsd, vpmaxsd, push), apart from the permutations, which move.
  return (
    floatingPointSuffix.test(mnemonic) && !/^(?:v?p|clflush)/.test(mnemonic) && !typedMoves.test(mnemonic)
  );
}

function transfer(instruction: Instruction): Transfer | undefined {
  const { mnemonic, operands, relocations } = instruction;
  if (/^i?ret/.test(mnemonic)) {
    return { kind: 'return' };
  }
  if (/^(?:ud[012]|hlt|int3)/.test(mnemonic)) {
    return { kind: 'stop' };
  }
  const kind = /^l?call/.test(mnemonic) ? 'call' : /^l?jmp/.test(mnemonic) ? 'jump' : undefined;
  if (kind === undefined) {
    return /^(?:j|loop)/.test(mnemonic) ? direct('branch', instruction) : undefined;
  }
  // `call *f@GOTPCREL(%rip)` is a direct call by another road.
  if (operands.startsWith('*') && !relocations.some(({ type }) => type.includes('GOTPC'))) {
    return { kind, target: 'indirect' };
  }
  return direct(kind, instruction);
}

function direct(kind: 'call' | 'jump' | 'branch', instruction: Instruction): Transfer {
  const target = branchTarget(instruction) ?? 'indirect';
  return { kind, target: typeof target === 'object' ? addressOf(target) : target };
}

/** A displacement counts from the end of its four bytes: the addend in the relocation is four too small. */
function addressOf(relocation: Relocation): Relocation {
  return /^R_X86_64_(?:PC32|PLT32|GOTPCREL|REX_GOTPCREL)/.test(relocation.type)
    ? { ...relocation, addend: relocation.addend + 4 }
    : relocation;
}

/** A number objdump prints as 64 bits without a sign. */
const signed = (text: string): number =>
  Number(BigInt.asIntN(64, text.startsWith('-') ? -BigInt(text.slice(1)) : BigInt(text)));

const number = '(-?(?:0x[0-9a-f]+|\\d+))';
const immediateToStack = new RegExp(`^\\$${number}, ?%rsp$`);
const addressFromStack = new RegExp(`^${number}?\\(%rsp\\), ?(%r\\w+)$`);
const addressToStack = new RegExp(`^${number}?\\((%r\\w+)\\), ?%rsp$`);

function stackEffect({ mnemonic, operands }: Instruction): StackEffect | undefined {
  if (/^push/.test(mnemonic)) {
    return { kind: 'move', bytes: 8 };
  }
  if (/^pop(?!cnt)/.test(mnemonic)) {
    return { kind: 'move', bytes: -8 };
  }
  if (/^leave/.test(mnemonic)) {
    return { kind: 'restore', register: '%rbp', offset: 8 };
  }
  const immediate = immediateToStack.exec(operands);
  if (immediate !== null && /^(?:add|sub|and)q?$/.test(mnemonic)) {
    const value = signed(immediate[1]);
    if (mnemonic.startsWith('and')) {
      return { kind: 'align', bytes: -value };
    }
    return { kind: 'move', bytes: mnemonic.startsWith('sub') ? value : -value };
  }
  if (/^movq?$/.test(mnemonic)) {
    const [, from, to] = /^(%r\w+), ?(%r\w+)$/.exec(operands) ?? [];
    if (from === '%rsp') {
      return { kind: 'save', register: to, offset: 0 };
    }
    if (to === '%rsp') {
      return { kind: 'restore', register: from, offset: 0 };
    }
  }
  return /^leaq?$/.test(mnemonic) ? addressEffect(operands) : otherEffect(mnemonic, operands);
}

/** `lea -0x28(%rsp),%rsp` and its like. */
function addressEffect(operands: string): StackEffect | undefined {
  const fromStack = addressFromStack.exec(operands);
  if (fromStack !== null) {
    const offset = signed(fromStack[1] ?? '0');
    return fromStack[2] === '%rsp'
      ? { kind: 'move', bytes: -offset }
      : { kind: 'save', register: fromStack[2], offset };
  }
  const toStack = addressToStack.exec(operands);
  return toStack === null
    ? otherEffect('lea', operands)
    : { kind: 'restore', register: toStack[2], offset: signed(toStack[1] ?? '0') };
}

function otherEffect(mnemonic: string, operands: string): StackEffect | undefined {
  const writesStackPointer =
    mnemonic.startsWith('enter') || (/(?:^|[ ,])%rsp$/.test(operands) && !/^(?:cmp|test)/.test(mnemonic));
  return writesStackPointer ? { kind: 'unknown' } : undefined;
}

export const x86_64: InstructionSet = {
  comment: /\s*#.*$/,
  listingComment: /#.*$/,
  prefixes: /^(?:(?:rep\w*|lock|notrack|bnd|data16|addr32|[cdefgs]s|xacquire|xrelease|rex\S*)\s+)+(?=\S)/,
  returnAddressBytes: 8,
  destination: 'last',
  transfer,
  stackEffect,
  addressOf,
  isFloatingPoint,
};
