/**
 * What the audit has to know about an instruction set. One file an architecture implements it, over the text
 * that objdump prints and that compilers write for the assembler.
 */
import type { Architecture } from '../../../targets/target.js';
import type { Instruction, Relocation } from '../disassembly.js';
import { aarch64 } from './aarch64.js';
import { riscv64 } from './riscv64.js';
import { x86_64 } from './x86_64.js';

/** Where an instruction sends the program counter, if not to the next instruction. */
export interface Transfer {
  /** 'branch' may fall through; 'stop' never goes on (a trap). */
  readonly kind: 'call' | 'jump' | 'branch' | 'return' | 'stop';
  /** A relocation, an address in the same section, or 'indirect' for what is only known at run time. */
  readonly target?: Relocation | number | 'indirect';
}

/**
 * What an instruction does to the stack pointer sp.
 *
 * move: sp -= bytes (negative: releases). save: register = sp + offset. restore: sp = register + offset.
 * align: sp = (register + offset, or sp) rounded down to a multiple of bytes. unknown: anything else.
 */
export type StackEffect =
  | { readonly kind: 'move'; readonly bytes: number }
  | { readonly kind: 'save'; readonly register: string; readonly offset: number }
  | { readonly kind: 'restore'; readonly register: string; readonly offset: number }
  | { readonly kind: 'align'; readonly register?: string; readonly bytes: number }
  | { readonly kind: 'unknown' };

export interface InstructionSet {
  /** What objdump adds behind the operands. */
  readonly comment: RegExp;
  /** A comment in what a compiler writes for the assembler. */
  readonly listingComment: RegExp;
  /** What stands before the mnemonic. */
  readonly prefixes: RegExp;
  /** Bytes a call instruction itself puts on the stack. */
  readonly returnAddressBytes: number;
  /** Which operand is written, by convention of the assembly language. */
  readonly destination: 'first' | 'last';
  /** `previous` stands before the instruction in its section: RISC-V spreads a call over two. */
  transfer(instruction: Instruction, previous: Instruction | undefined): Transfer | undefined;
  stackEffect(instruction: Instruction): StackEffect | undefined;
  /**
   * What a relocation stands for where an instruction takes an address; undefined for those that name no
   * object of their own.
   */
  addressOf(relocation: Relocation): Relocation | undefined;
  /**
   * Floating-point arithmetic, conversion or comparison. Moves, loads and zeroing of vector registers are
   * not, nor is bitwise logic, whatever type the mnemonic names: compilers choose them for integers.
   * `before` are some of the instructions that stand before it, the nearest last.
   */
  isFloatingPoint(instruction: Instruction, before: readonly Instruction[]): boolean;
}

const instructionSets: Record<Architecture, InstructionSet> = { x86_64, aarch64, riscv64 };

export const instructionSetOf = (arch: Architecture): InstructionSet => instructionSets[arch];
