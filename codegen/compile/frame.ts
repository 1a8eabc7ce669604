/**
 * How deep one function takes the stack, read off its machine code: the stack pointer is followed along every
 * path.
 *
 * The compilers' own figures (-fstack-usage) are not used: gcc's leave out the red zone and the padding of
 * realigned frames, clang's leave out that padding, pushed arguments and the return address, and both are one
 * number for all calls of a function, though a tail call keeps nothing of the frame.
 */
import { EmbedError } from '../diagnostics/error.js';
import type { CodeIndex } from './code-index.js';
import type { Instruction, MachineFunction, Relocation } from './disassembly.js';
import type { InstructionSet, StackEffect } from './isa/instruction-set.js';

/** Where a function leaves its own code. */
export interface CallSite {
  readonly instruction: Instruction;
  /** Bytes of stack in use before the call, counted from the caller's stack pointer. */
  readonly depth: number;
  /** A jump: the callee returns to our caller. */
  readonly isTail: boolean;
  readonly target: Relocation | number | 'indirect';
}

export interface Frame {
  /** Most bytes of stack in use, the return address included where the call pushes it. */
  readonly bytes: number;
  readonly calls: readonly CallSite[];
}

/**
 * The stack pointer before an instruction: bytes below the caller's, and where registers that hold copies of
 * it point.
 */
interface StackState {
  readonly depth: number;
  readonly copies: ReadonlyMap<string, number>;
}

/** No frame comes near (2 KiB is what the project allows); beyond it, a path must be pushing in a loop. */
const deepestFrame = 128 * 1024;

/** Throws EM3104 if the frame has no fixed size. */
export function measureFrame(code: MachineFunction, index: CodeIndex, isa: InstructionSet): Frame {
  return new FrameWalk(code, index, isa).walk();
}

class FrameWalk {
  private readonly states = new Map<Instruction, StackState>();
  private readonly waiting: number[] = [];
  private readonly calls = new Map<Instruction, CallSite>();
  private readonly position: Map<Instruction, number>;
  private deepest = 0;

  constructor(
    private readonly code: MachineFunction,
    private readonly index: CodeIndex,
    private readonly isa: InstructionSet,
  ) {
    this.position = new Map(code.code.map((instruction, position) => [instruction, position]));
  }

  walk(): Frame {
    this.reach(0, { depth: this.isa.returnAddressBytes, copies: new Map() });
    for (let position = this.waiting.pop(); position !== undefined; position = this.waiting.pop()) {
      this.step(position);
    }
    return { bytes: this.deepest, calls: [...this.calls.values()] };
  }

  /** Of several ways to an instruction the one with most stack counts. */
  private reach(position: number, state: StackState): void {
    const instruction = this.code.code[position];
    const known = this.states.get(instruction);
    if (known !== undefined && known.depth >= state.depth) {
      return;
    }
    if (state.depth > deepestFrame) {
      this.unbounded(instruction, 'the stack grows in a loop, or beyond 128 KiB');
    }
    this.deepest = Math.max(this.deepest, state.depth);
    this.states.set(instruction, state);
    this.waiting.push(position);
  }

  private step(position: number): void {
    const { code } = this.code;
    const instruction = code[position];
    const before = this.states.get(instruction) as StackState;
    const next = code[position + 1];
    const effect = this.isa.stackEffect(instruction);
    const after = this.apply(effect, before, instruction, next);
    this.deepest = Math.max(this.deepest, after.depth);
    const transfer = this.isa.transfer(instruction, code[position - 1]);
    if (transfer?.target !== undefined) {
      this.follow(instruction, transfer.kind === 'call', transfer.target, after);
    }
    const mayGoOn = transfer === undefined || transfer.kind === 'call' || transfer.kind === 'branch';
    if (mayGoOn && next?.section === instruction.section) {
      this.reach(position + 1, after);
    }
  }

  private follow(
    instruction: Instruction,
    isCall: boolean,
    target: CallSite['target'],
    state: StackState,
  ): void {
    const inside = isCall ? undefined : this.inside(instruction, target);
    if (inside === undefined) {
      this.calls.set(instruction, { instruction, depth: state.depth, isTail: !isCall, target });
    } else {
      this.reach(inside, state);
    }
  }

  /** Position of the target, if a jump or branch stays in the function. */
  private inside(instruction: Instruction, target: Relocation | number | 'indirect'): number | undefined {
    if (target === 'indirect') {
      return undefined;
    }
    const place = this.index.locate(this.code.object, instruction.section, target);
    return place.kind === 'inside' ? this.position.get(place.instruction) : undefined;
  }

  private apply(
    effect: StackEffect | undefined,
    before: StackState,
    instruction: Instruction,
    next: Instruction | undefined,
  ): StackState {
    const { depth } = before;
    const copies = this.copiesAfter(before.copies, instruction);
    switch (effect?.kind) {
      case undefined:
        return { depth, copies };
      case 'move':
        return { depth: depth + effect.bytes, copies };
      case 'save':
        return { depth, copies: new Map(copies).set(effect.register, depth - effect.offset) };
      case 'align': {
        const from = effect.register === undefined ? depth : before.copies.get(effect.register);
        return from === undefined
          ? this.unbounded(instruction, 'the stack pointer is set from a register')
          : { depth: from + alignmentLoss(from, effect.bytes), copies };
      }
      case 'restore': {
        const saved = before.copies.get(effect.register);
        if (saved !== undefined) {
          return { depth: saved - effect.offset, copies };
        }
        // The end of a realigned frame, whose old stack pointer came back from memory.
        if (next !== undefined && this.isa.transfer(next, instruction)?.kind === 'return') {
          return { depth, copies };
        }
        return this.unbounded(instruction, 'the stack pointer is set from a register');
      }
      case 'unknown':
        return this.unbounded(
          instruction,
          'the stack pointer moves by an amount in a register (variable size, or a frame beyond 4 KiB)',
        );
    }
  }

  /** A register that is written no longer holds the copy of the stack pointer. */
  private copiesAfter(copies: ReadonlyMap<string, number>, instruction: Instruction) {
    const operands = instruction.operands.split(/, ?/);
    const written = this.isa.destination === 'first' ? operands[0] : operands[operands.length - 1];
    if (!copies.has(written)) {
      return copies;
    }
    const kept = new Map(copies);
    kept.delete(written);
    return kept;
  }

  private unbounded(instruction: Instruction, why: string): never {
    const { mnemonic, operands, address } = instruction;
    throw new EmbedError('EM3104', {
      where: `${this.code.object}: ${this.code.name}`,
      why: `${why}: ${mnemonic} ${operands} at 0x${address.toString(16)}`,
    });
  }
}

/**
 * Bytes that rounding the stack pointer down can cost at most. The ABIs align it to 16 bytes where a function
 * is called.
 */
function alignmentLoss(depth: number, bytes: number): number {
  const above = (16 - (depth % 16)) % 16;
  return bytes >= 16 ? bytes - 16 + above : above % bytes;
}
