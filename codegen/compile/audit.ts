/**
 * What must hold of a compiled model library, checked on its machine code: no libc, no floating-point
 * arithmetic, no writable data, and a stack of bounded, known depth.
 */
import type { Target } from '../../targets/target.js';
import { EmbedError } from '../diagnostics/error.js';
import { buildCallGraph, type DeclaredCalls } from './call-graph.js';
import type { CompiledLibrary, LibraryObject } from './compile.js';
import { disassemble, type Instruction, type ObjectCode } from './disassembly.js';
import type { ElfSection } from './elf-object.js';
import { type InstructionSet, instructionSetOf } from './isa/instruction-set.js';
import { readListing } from './listing.js';
import { type SectionSizes, sectionKind } from './section-sizes.js';
import { measureStackDepth, type StackDepth } from './stack-depth.js';
import type { Toolchain } from './toolchain.js';

export interface AuditOptions {
  readonly target: Target;
  readonly toolchain: Toolchain;
  readonly library: Pick<CompiledLibrary, 'objects' | 'sizes'>;
  readonly declared: DeclaredCalls;
  /** Functions a user calls, by name in the C source; absent: every global function. */
  readonly entryPoints?: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

export interface Audit {
  readonly functions: number;
  readonly instructions: number;
  /** Functions the platform has to bring: a subset of the four every C compiler assumes. */
  readonly undefinedSymbols: readonly string[];
  readonly stack: StackDepth;
}

/** gcc and clang call these on their own, freestanding or not. */
const compilerSymbols: ReadonlySet<string> = new Set(['memcpy', 'memset', 'memmove', 'memcmp']);

/** Findings one error lists. */
const shownFindings = 8;

/**
 * Throws EM3101 (undefined symbols), EM3102 (floating point), EM3103 (writable data), EM3104 (frame without a
 * bound), EM3105 (recursion), EM3106 (undeclared indirect call), EM3107 (undeclared address of a function),
 * EM3006 (not understood).
 */
export async function auditLibrary(options: AuditOptions): Promise<Audit> {
  const { target, toolchain, library, declared, entryPoints, signal } = options;
  const isa = instructionSetOf(target.arch);
  const objects: ObjectCode[] = [];
  for (const one of library.objects) {
    objects.push(await machineCode(one, isa, toolchain, signal));
  }
  const undefinedSymbols = findUndefinedSymbols(objects);
  refuse(
    'EM3101',
    target,
    undefinedSymbols.filter((name) => !compilerSymbols.has(name)),
  );
  refuse('EM3103', target, findWritableData(objects, library.sizes));
  refuse('EM3102', target, findFloatingPoint(objects, isa));
  return {
    functions: objects.reduce((sum, { functions }) => sum + functions.length, 0),
    instructions: objects.reduce((sum, { instructions }) => sum + instructions.length, 0),
    undefinedSymbols,
    stack: measureStackDepth(buildCallGraph(objects, isa, declared), entryPoints),
  };
}

/** From the listing the object was assembled from where there is one, else from its disassembly. */
function machineCode(
  { object, listing }: LibraryObject,
  isa: InstructionSet,
  { objdump }: Pick<Toolchain, 'objdump'>,
  signal: AbortSignal | undefined,
): Promise<ObjectCode> {
  if (listing !== null) {
    return readListing(listing, object, isa);
  }
  if (objdump === null) {
    throw new EmbedError('EM3004', { where: object, why: 'neither a disassembler nor an assembly listing' });
  }
  return disassemble(objdump, isa, object, signal);
}

/** Names that no object of the library defines, sorted. */
export function findUndefinedSymbols(objects: readonly ObjectCode[]): string[] {
  const symbols = objects.flatMap((object) => object.symbols);
  const defined = new Set(
    symbols.filter(({ section, isGlobal }) => isGlobal && section !== '*UND*').map(({ name }) => name),
  );
  const needed = symbols.filter(({ section, name }) => section === '*UND*' && !defined.has(name));
  return [...new Set(needed.map(({ name }) => name))].filter((name) => name !== '').sort();
}

/**
 * `object: variable (section, bytes)` for everything that can be written, and for pointers to what runs
 * before main.
 */
export function findWritableData(objects: readonly ObjectCode[], sizes: SectionSizes): string[] {
  const bytes = sizes.dataBytes + sizes.bssBytes;
  if (bytes === 0) {
    return [];
  }
  const named = objects.flatMap(({ object, sections, symbols }) => {
    const writable = new Set(sections.filter(isWritable).map(({ name }) => name)).add('*COM*');
    return symbols
      .filter((symbol) => writable.has(symbol.section) && symbol.bytes > 0)
      .map((symbol) => `${object}: ${symbol.name} (${symbol.section}, ${symbol.bytes} bytes)`);
  });
  return named.length > 0 ? named : [`${bytes} bytes without a name`];
}

function isWritable(section: ElfSection): boolean {
  const kind = sectionKind(section);
  return kind === 'dataBytes' || kind === 'bssBytes';
}

/** Instructions that are looked at to understand the one behind them. */
const lookBehind = 16;

/** `object: function: instruction` for every floating-point instruction. */
export function findFloatingPoint(objects: readonly ObjectCode[], isa: InstructionSet): string[] {
  return objects.flatMap(({ object, functions, instructions }) =>
    instructions
      .filter((one, at) => isa.isFloatingPoint(one, instructions.slice(Math.max(0, at - lookBehind), at)))
      .map((instruction) => {
        const holder = functions.find(({ code }) => code.includes(instruction));
        return `${object}: ${holder?.name ?? instruction.section}: ${text(instruction)}`;
      }),
  );
}

const text = ({ mnemonic, operands }: Instruction): string => `${mnemonic} ${operands}`;

function refuse(code: 'EM3101' | 'EM3102' | 'EM3103', target: Target, findings: readonly string[]): void {
  if (findings.length > 0) {
    const rest = findings.length - shownFindings;
    const listed = findings.slice(0, shownFindings).join('; ') + (rest > 0 ? `; and ${rest} more` : '');
    throw new EmbedError(code, { where: target.name, why: listed });
  }
}
