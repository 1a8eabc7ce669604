import { EmbedError } from '../../diagnostics/error.js';
import { construct, isKnownGlobal, storageOf } from './pickle-globals.js';
import { PickleDict, PickleGlobal, PickleList, type PickleValue } from './pickle-values.js';

/** Stands on the stack where a run of values begins. */
const mark = Symbol('mark');
type StackEntry = PickleValue | typeof mark;

/** Bytes of a long that fit a safe integer, and then some: longer ones are no sizes. */
const mostLongBytes = 16;
const mostProtocol = 5;

/**
 * The value a pickle stands for (the opcodes that torch.save writes, in protocols 2 to 5), built from plain data:
 * nothing is imported and nothing is called. A pickle is a program for a stack machine; names that it may use are
 * listed in pickle-globals.ts, every other one and every other opcode is refused by name. Work and memory are
 * linear in the size of the pickle. Throws EM1031 for what is refused, EM1030 for a damaged pickle.
 */
export function readPickle(bytes: Uint8Array, where: string): PickleValue {
  return new PickleMachine(bytes, where).run();
}

class PickleMachine {
  private readonly view: DataView;
  private readonly stack: StackEntry[] = [];
  private readonly memo = new Map<number, PickleValue>();
  private at = 0;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly where: string,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  run(): PickleValue {
    for (;;) {
      const start = this.at;
      const opcode = this.u8();
      if (opcode === 0x2e) return this.pop(); // STOP
      const step = steps[opcode];
      if (step === undefined) {
        throw this.refused(`opcode ${describeOpcode(opcode)} at byte ${start} is none that torch.save needs`);
      }
      step(this);
    }
  }

  push(value: StackEntry): void {
    this.stack.push(value);
  }

  pop(): PickleValue {
    const value = this.stack.pop();
    if (value === undefined || value === mark) throw this.damaged('takes a value from an empty stack');
    return value;
  }

  top(): PickleValue {
    const value = this.stack.at(-1);
    if (value === undefined || value === mark) throw this.damaged('looks at an empty stack');
    return value;
  }

  /** The values above the last mark, which goes too. */
  popToMark(): PickleValue[] {
    const from = this.stack.lastIndexOf(mark);
    if (from < 0) throw this.damaged('closes a run of values that was not opened');
    const values = this.stack.splice(from).slice(1);
    return values as PickleValue[];
  }

  list(): PickleList {
    const value = this.top();
    if (!(value instanceof PickleList)) throw this.damaged('appends to something that is no list');
    return value;
  }

  setItems(items: readonly PickleValue[]): void {
    const dict = this.top();
    if (!(dict instanceof PickleDict)) throw this.damaged('sets items of something that is no dict');
    if (items.length % 2 !== 0) throw this.damaged('a key has no value');
    for (let i = 0; i < items.length; i += 2) dict.entries.set(items[i]!, items[i + 1]!);
  }

  remember(index: number): void {
    this.memo.set(index, this.top());
  }

  memoize(): void {
    this.memo.set(this.memo.size, this.top());
  }

  recall(index: number): void {
    const value = this.memo.get(index);
    if (value === undefined) throw this.damaged(`recalls value ${index}, which was not remembered`);
    this.push(value);
  }

  global(module: string, name: string): void {
    const full = `${module}.${name}`;
    if (!isKnownGlobal(full))
      throw this.refused(`names ${full.slice(0, 200)}, which is not part of a plain checkpoint`);
    this.push(new PickleGlobal(full));
  }

  reduce(): void {
    const args = this.pop();
    const callable = this.pop();
    const value = args instanceof PickleList ? construct(callable, args.items) : undefined;
    if (value === undefined)
      throw this.damaged(`calls ${describeValue(callable)} with arguments that make no sense`);
    this.push(value);
  }

  /** Sets attributes; those of an OrderedDict (_metadata of a state dict) carry nothing that is used. */
  build(): void {
    const state = this.pop();
    if (this.top() instanceof PickleDict && state instanceof PickleDict) return;
    throw this.refused(`sets the state of ${describeValue(this.top())}`);
  }

  persistent(): void {
    const storage = storageOf(this.pop());
    if (storage === undefined) throw this.damaged('a persistent id is no storage of a known type');
    this.push(storage);
  }

  protocol(version: number): void {
    if (version > mostProtocol)
      throw this.refused(`is of pickle protocol ${version}; 2 to ${mostProtocol} are read`);
  }

  u8(): number {
    return this.view.getUint8(this.advance(1));
  }

  u16(): number {
    return this.view.getUint16(this.advance(2), true);
  }

  i32(): number {
    return this.view.getInt32(this.advance(4), true);
  }

  u32(): number {
    return this.view.getUint32(this.advance(4), true);
  }

  u64(): number {
    const value = this.view.getBigUint64(this.advance(8), true);
    if (value > BigInt(this.bytes.length)) throw this.damaged(`a length of ${value}`);
    return Number(value);
  }

  f64(): number {
    return this.view.getFloat64(this.advance(8), false);
  }

  raw(length: number): Uint8Array {
    const start = this.advance(length);
    return this.bytes.subarray(start, start + length);
  }

  text(length: number): string {
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.raw(length));
    } catch (cause) {
      if (cause instanceof EmbedError) throw cause;
      throw this.damaged('a text is not UTF-8');
    }
  }

  line(): string {
    const end = this.bytes.indexOf(0x0a, this.at);
    if (end < 0) throw this.damaged('a name does not end');
    const line = Buffer.from(this.bytes.subarray(this.at, end)).toString('latin1');
    this.at = end + 1;
    return line;
  }

  /** Little-endian two's complement. */
  long(length: number): number | bigint {
    if (length > mostLongBytes) throw this.refused(`has a number of ${length} bytes`);
    const bytes = this.raw(length);
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!);
    if (length > 0 && bytes[length - 1]! >= 0x80) value -= 1n << BigInt(8 * length);
    const small = Number(value);
    return Number.isSafeInteger(small) ? small : value;
  }

  private advance(length: number): number {
    const start = this.at;
    if (length > this.bytes.length - start)
      throw this.damaged(`ends at byte ${this.bytes.length}, in the middle`);
    this.at += length;
    return start;
  }

  damaged(why: string): EmbedError {
    return new EmbedError('EM1030', { where: this.where, why });
  }

  refused(why: string): EmbedError {
    return new EmbedError('EM1031', { where: this.where, why });
  }
}

type Step = (machine: PickleMachine) => void;

const tupleOf = (count: number) => (machine: PickleMachine) => {
  const items: PickleValue[] = [];
  for (let i = 0; i < count; i++) items.unshift(machine.pop());
  machine.push(new PickleList(items));
};

const text = (length: (machine: PickleMachine) => number) => (machine: PickleMachine) =>
  machine.push(machine.text(length(machine)));

const raw = (length: (machine: PickleMachine) => number) => (machine: PickleMachine) =>
  machine.push(machine.raw(length(machine)));

const u8 = (machine: PickleMachine) => machine.u8();
const u32 = (machine: PickleMachine) => machine.u32();
const u64 = (machine: PickleMachine) => machine.u64();

/** By opcode, with the names of Python's pickletools. */
const steps: Readonly<Record<number, Step>> = {
  128: (machine) => machine.protocol(machine.u8()), // PROTO
  149: (machine) => void machine.raw(8), // FRAME: a hint for readers of streams
  40: (machine) => machine.push(mark), // MARK
  48: (machine) => void machine.pop(), // POP
  49: (machine) => void machine.popToMark(), // POP_MARK
  50: (machine) => machine.push(machine.top()), // DUP
  78: (machine) => machine.push(null), // NONE
  136: (machine) => machine.push(true), // NEWTRUE
  137: (machine) => machine.push(false), // NEWFALSE
  74: (machine) => machine.push(machine.i32()), // BININT
  75: (machine) => machine.push(machine.u8()), // BININT1
  77: (machine) => machine.push(machine.u16()), // BININT2
  138: (machine) => machine.push(machine.long(machine.u8())), // LONG1
  71: (machine) => machine.push(machine.f64()), // BINFLOAT
  88: text(u32), // BINUNICODE
  140: text(u8), // SHORT_BINUNICODE
  141: text(u64), // BINUNICODE8
  84: text(u32), // BINSTRING
  85: text(u8), // SHORT_BINSTRING
  66: raw(u32), // BINBYTES
  67: raw(u8), // SHORT_BINBYTES
  142: raw(u64), // BINBYTES8
  93: (machine) => machine.push(new PickleList([])), // EMPTY_LIST
  41: (machine) => machine.push(new PickleList([])), // EMPTY_TUPLE
  125: (machine) => machine.push(new PickleDict()), // EMPTY_DICT
  116: (machine) => machine.push(new PickleList(machine.popToMark())), // TUPLE
  133: tupleOf(1), // TUPLE1
  134: tupleOf(2), // TUPLE2
  135: tupleOf(3), // TUPLE3
  97(machine) {
    const value = machine.pop(); // APPEND
    machine.list().items.push(value);
  },
  101(machine) {
    const values = machine.popToMark(); // APPENDS
    const { items } = machine.list();
    for (const value of values) items.push(value);
  },
  115(machine) {
    const value = machine.pop(); // SETITEM
    const key = machine.pop();
    machine.setItems([key, value]);
  },
  117: (machine) => machine.setItems(machine.popToMark()), // SETITEMS
  113: (machine) => machine.remember(machine.u8()), // BINPUT
  114: (machine) => machine.remember(machine.u32()), // LONG_BINPUT
  148: (machine) => machine.memoize(), // MEMOIZE
  104: (machine) => machine.recall(machine.u8()), // BINGET
  106: (machine) => machine.recall(machine.u32()), // LONG_BINGET
  99(machine) {
    const module = machine.line(); // GLOBAL
    machine.global(module, machine.line());
  },
  147(machine) {
    const name = machine.pop(); // STACK_GLOBAL
    const module = machine.pop();
    if (typeof name !== 'string' || typeof module !== 'string') throw machine.damaged('a name is no text');
    machine.global(module, name);
  },
  82: (machine) => machine.reduce(), // REDUCE
  98: (machine) => machine.build(), // BUILD
  81: (machine) => machine.persistent(), // BINPERSID
};

function describeOpcode(opcode: number): string {
  const hex = `0x${opcode.toString(16).padStart(2, '0')}`;
  return opcode > 0x20 && opcode < 0x7f ? `${hex} ('${String.fromCharCode(opcode)}')` : hex;
}

function describeValue(value: PickleValue): string {
  return value instanceof PickleGlobal ? value.name : 'a value that is no function';
}
