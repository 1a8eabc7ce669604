/** Who calls whom in a compiled library, with the stack in use at each call. */
import { EmbedError } from '../diagnostics/error.js';
import { CodeIndex, type Place } from './code-index.js';
import type { Instruction, MachineFunction, ObjectCode, Relocation } from './disassembly.js';
import { type CallSite, measureFrame } from './frame.js';
import type { InstructionSet } from './isa/instruction-set.js';

/** Something outside the library that it calls through a pointer, such as the caller's parallel-for. */
export interface Hook {
  /** What it needs itself, 0 where that is not known and is left to whoever provides it. */
  readonly stackBytes: number;
  /** Functions of the library that it calls back. */
  readonly calls: readonly string[];
}

/**
 * What a disassembly cannot tell. Names are those of the C sources; the copies compilers make (f.constprop.0)
 * are meant, too.
 */
export interface DeclaredCalls {
  /** By function that makes indirect calls: functions and hooks it can reach. */
  readonly indirect: Readonly<Record<string, readonly string[]>>;
  readonly hooks: Readonly<Record<string, Hook>>;
}

export interface CallEdge {
  readonly callee: CallNode;
  /** Bytes of the caller's stack that stay in use. */
  readonly depth: number;
}

export interface CallNode {
  readonly name: string;
  /** 'external': one of the functions a freestanding program may need; its stack is the platform's. */
  readonly kind: 'function' | 'hook' | 'external';
  readonly isGlobal: boolean;
  readonly frameBytes: number;
  readonly calls: CallEdge[];
}

/** Name in the C source: everything behind a dot was added by the compiler. */
export const sourceName = (name: string): string => name.replace(/(?<=.)\..*$/, '');

/**
 * Nodes of all functions and hooks. Throws EM3104 for a frame without a fixed size, EM3106 for an indirect
 * call that is not declared, EM3107 for a function whose address is taken though no declared call leads to
 * it, EM3006 for a jump to nowhere.
 */
export function buildCallGraph(
  objects: readonly ObjectCode[],
  isa: InstructionSet,
  declared: DeclaredCalls,
): CallNode[] {
  return new CallGraphBuilder(new CodeIndex(objects), isa, declared).build();
}

class CallGraphBuilder {
  private readonly nodes = new Map<MachineFunction, CallNode>();
  private readonly hooks = new Map<string, CallNode>();
  private readonly externals = new Map<string, CallNode>();

  constructor(
    private readonly index: CodeIndex,
    private readonly isa: InstructionSet,
    private readonly declared: DeclaredCalls,
  ) {}

  build(): CallNode[] {
    const { functions } = this.index;
    const frames = functions.map((one) => ({ one, frame: measureFrame(one, this.index, this.isa) }));
    const twice = new Set(
      functions.map(({ name }) => name).filter((name, at, all) => all.indexOf(name) !== at),
    );
    for (const { one, frame } of frames) {
      this.nodes.set(one, {
        name: twice.has(one.name) ? `${one.object}:${one.name}` : one.name,
        kind: 'function',
        isGlobal: one.isGlobal,
        frameBytes: frame.bytes,
        calls: [],
      });
    }
    for (const [name, { stackBytes }] of Object.entries(this.declared.hooks)) {
      this.hooks.set(name, { name, kind: 'hook', isGlobal: false, frameBytes: stackBytes, calls: [] });
    }
    for (const [name, { stackBytes, calls }] of Object.entries(this.declared.hooks)) {
      const hook = this.hooks.get(name) as CallNode;
      hook.calls.push(
        ...calls.flatMap((callee) => this.named(callee)).map((callee) => ({ callee, depth: stackBytes })),
      );
    }
    const taken = this.addressesTaken();
    for (const { one, frame } of frames) {
      const node = this.nodes.get(one) as CallNode;
      node.calls.push(...frame.calls.flatMap((site) => this.edges(one, site, taken)));
    }
    this.refuseUndeclaredAddresses(taken);
    return [...this.nodes.values(), ...this.hooks.values()];
  }

  private edges(caller: MachineFunction, site: CallSite, taken: ReadonlySet<MachineFunction>): CallEdge[] {
    const depth = site.depth - (site.isTail ? this.isa.returnAddressBytes : 0);
    return this.callees(caller, site, taken).map((callee) => ({ callee, depth }));
  }

  private callees(caller: MachineFunction, site: CallSite, taken: ReadonlySet<MachineFunction>): CallNode[] {
    const { instruction, target } = site;
    if (target === 'indirect') {
      const names = this.declared.indirect[sourceName(caller.name)];
      if (names === undefined) {
        const candidates = [...taken].map(({ name }) => name);
        throw new EmbedError('EM3106', {
          where: `${caller.object}: ${caller.name}`,
          why:
            `${shown(instruction)} calls through a pointer; functions whose address is taken: ` +
            (candidates.join(', ') || 'none'),
        });
      }
      return names.flatMap((name) => this.named(name));
    }
    const place = this.index.locate(caller.object, instruction.section, target);
    if (place.kind === 'undefined') {
      return [this.external(place.symbol)];
    }
    if (place.kind === 'inside' && place.instruction === place.function.code[0]) {
      return [this.nodes.get(place.function) as CallNode];
    }
    throw new EmbedError('EM3006', {
      where: `${caller.object}: ${caller.name}`,
      why: `${shown(instruction)} leads into the middle of something that is not this function`,
    });
  }

  /**
   * Hook of that name, or functions of that name in the source. None is fine: what does not exist cannot be
   * called.
   */
  private named(name: string): CallNode[] {
    const hook = this.hooks.get(name);
    if (hook !== undefined) {
      return [hook];
    }
    return [...this.nodes].filter(([one]) => sourceName(one.name) === name).map(([, node]) => node);
  }

  private external(name: string): CallNode {
    const node = this.externals.get(name) ?? {
      name,
      kind: 'external' as const,
      isGlobal: false,
      frameBytes: 0,
      calls: [],
    };
    this.externals.set(name, node);
    return node;
  }

  /** Functions whose entry stands in a relocation that is no call: an indirect call may reach them. */
  private addressesTaken(): Set<MachineFunction> {
    const taken = new Set<MachineFunction>();
    const note = (place: Place) => {
      if (place.kind === 'inside' && place.instruction === place.function.code[0]) {
        taken.add(place.function);
      }
    };
    for (const { object, functions, dataRelocations } of this.index.objects) {
      for (const relocation of dataRelocations) {
        note(this.index.locate(object, '', relocation));
      }
      for (const { code } of functions) {
        for (const [at, instruction] of code.entries()) {
          for (const relocation of this.addressesIn(instruction, code[at + 1], code[at - 1])) {
            note(this.index.locate(object, instruction.section, relocation));
          }
        }
      }
    }
    return taken;
  }

  private addressesIn(
    instruction: Instruction,
    next: Instruction | undefined,
    previous: Instruction | undefined,
  ): readonly Relocation[] {
    const isTransfer = (one: Instruction, before: Instruction | undefined) =>
      typeof this.isa.transfer(one, before)?.target === 'object';
    const startsCall =
      next !== undefined && instruction.mnemonic === 'auipc' && isTransfer(next, instruction);
    return startsCall || isTransfer(instruction, previous)
      ? []
      : instruction.relocations.flatMap((relocation) => this.isa.addressOf(relocation) ?? []);
  }

  private refuseUndeclaredAddresses(taken: ReadonlySet<MachineFunction>): void {
    const { indirect, hooks } = this.declared;
    const reachable = new Set([
      ...Object.values(indirect).flat(),
      ...Object.values(hooks).flatMap(({ calls }) => calls),
    ]);
    const forgotten = [...taken].filter(({ name }) => !reachable.has(sourceName(name)));
    if (forgotten.length > 0) {
      throw new EmbedError('EM3107', {
        where: forgotten[0].object,
        why: forgotten.map(({ name }) => name).join(', '),
      });
    }
  }
}

const shown = ({ mnemonic, operands, address }: Instruction): string =>
  `${mnemonic} ${operands} at 0x${address.toString(16)}`;
