/** The machine code of one object: its sections and symbols, and the instructions `objdump -d -r` prints, as data. */
import { basename } from 'node:path';
import { EmbedError } from '../diagnostics/error.js';
import { type ElfObject, type ElfSection, type ElfSymbol, readElfObject } from './elf-object.js';
import type { InstructionSet } from './isa/instruction-set.js';
import { runTool } from './run-tool.js';

/** An address the linker is to fill in: that of `symbol` (a symbol or a section) plus `addend`. */
export interface Relocation {
  /** As in the psABI, e.g. R_RISCV_CALL_PLT. */
  readonly type: string;
  readonly symbol: string;
  readonly addend: number;
}

export interface Instruction {
  readonly section: string;
  /** Within the section. */
  readonly address: number;
  /** Without prefixes. */
  readonly mnemonic: string;
  /** Without comments, as the disassembler prints them. */
  readonly operands: string;
  readonly relocations: readonly Relocation[];
}

/** A function with all its parts: gcc moves code that is rarely run to `name.cold`, in another section. */
export interface MachineFunction {
  readonly name: string;
  /** File name of its object. */
  readonly object: string;
  readonly isGlobal: boolean;
  /** The first instruction is the entry. */
  readonly code: readonly Instruction[];
}

export interface ObjectCode {
  readonly object: string;
  readonly sections: readonly ElfSection[];
  readonly symbols: readonly ElfSymbol[];
  readonly functions: readonly MachineFunction[];
  /** All that is in executable sections, in functions or not. */
  readonly instructions: readonly Instruction[];
  /** Addresses in constants and variables. */
  readonly dataRelocations: readonly Relocation[];
}

export const disassemblyCommand = (objdump: string, path: string): readonly string[] => [
  objdump,
  '-d',
  '-r',
  '-z',
  '--no-show-raw-insn',
  path,
];

/** Disassembles the object at `path` with the program `objdump`, GNU's or LLVM's. Throws EM3002, EM3006. */
export async function disassemble(
  objdump: string,
  isa: InstructionSet,
  path: string,
  signal?: AbortSignal,
): Promise<ObjectCode> {
  const object = basename(path);
  const elf = await readElfObject(path);
  const { stdout } = await runTool(disassemblyCommand(objdump, path), { signal });
  const instructions = parseInstructions(stdout, isa, object);
  return {
    object,
    sections: elf.sections,
    symbols: elf.symbols,
    functions: collectFunctions(elf.symbols, instructions, object),
    instructions,
    dataRelocations: dataRelocations(elf),
  };
}

const sectionLine = /^Disassembly of section (.*):$/;
const relocationLine = /^\s+[0-9a-f]+:\s+(R_\w+)\s+(.*)$/;
const instructionLine = /^\s*([0-9a-f]+):\s+(.*)$/;

/** Instructions in order, each with the relocations that follow it. */
export function parseInstructions(text: string, isa: InstructionSet, object: string): Instruction[] {
  const instructions: (Instruction & { relocations: Relocation[] })[] = [];
  let section = '';
  for (const line of text.split('\n')) {
    const header = sectionLine.exec(line);
    if (header !== null) {
      section = header[1];
      continue;
    }
    const relocation = section === '' ? null : relocationLine.exec(line);
    if (relocation !== null) {
      instructions.at(-1)?.relocations.push(parseRelocation(relocation[1], relocation[2]));
      continue;
    }
    const match = section === '' ? null : instructionLine.exec(line);
    if (match === null) {
      continue;
    }
    const parsed = parseInstruction(match[2], isa);
    if (parsed === undefined) {
      throw new EmbedError('EM3006', {
        where: `${object}, section ${section}`,
        why: `no instruction: ${line.trim()}`,
      });
    }
    instructions.push({
      section,
      address: Number.parseInt(match[1], 16),
      ...parsed,
      relocations: [],
    });
  }
  return instructions;
}

/** Mnemonic and operands of one line, undefined where it holds no instruction. */
export function parseInstruction(
  text: string,
  isa: InstructionSet,
): Pick<Instruction, 'mnemonic' | 'operands'> | undefined {
  const bare = text.replace(isa.comment, '').replace(isa.prefixes, '').trim();
  const [, mnemonic, operands] = /^([a-z]\S*)\s*(.*)$/.exec(bare) ?? [];
  return mnemonic === undefined || operands === undefined ? undefined : { mnemonic, operands };
}

/** `.text.em_norm+0x20`, `memcpy-0x4`, `.L5`. Names in C hold neither '+' nor '-'. */
function parseRelocation(type: string, value: string): Relocation {
  const [, symbol, sign, digits] = /^(.*?)(?:([+-])(?:0x)?([0-9a-f]+))?$/.exec(value) as RegExpExecArray;
  const addend = digits === undefined ? 0 : Number.parseInt(digits, 16);
  return { type, symbol, addend: sign === '-' ? -addend : addend };
}

/** Unwind tables hold addresses of functions, too, but nobody calls through them. */
function dataRelocations({ sections, relocations }: ElfObject): Relocation[] {
  const isData = ({ name, isLoaded, isCode }: ElfSection) =>
    isLoaded && !isCode && !name.startsWith('.eh_frame');
  const data = new Set(sections.filter(isData).map(({ name }) => name));
  return relocations
    .filter(({ section }) => data.has(section))
    .map(({ symbol, addend }) => ({ type: 'data', symbol, addend }));
}

function collectFunctions(
  symbols: readonly ElfSymbol[],
  instructions: readonly Instruction[],
  object: string,
): MachineFunction[] {
  const parts = symbols
    .filter(({ isFunction, section, bytes }) => isFunction && section !== '*UND*' && bytes > 0)
    .map((symbol) => ({
      symbol,
      code: instructions.filter(
        ({ section, address }) =>
          section === symbol.section && address >= symbol.address && address < symbol.address + symbol.bytes,
      ),
    }));
  const isCold = (name: string) => /\.cold(?:\.\d+)?$/.test(name);
  return parts
    .filter(({ symbol, code }) => !isCold(symbol.name) && code.length > 0)
    .map(({ symbol, code }) => ({
      name: symbol.name,
      object,
      isGlobal: symbol.isGlobal,
      code: [
        ...code,
        ...parts
          .filter((part) => isCold(part.symbol.name) && withoutCold(part.symbol.name) === symbol.name)
          .flatMap((part) => part.code),
      ],
    }));
}

const withoutCold = (name: string) => name.replace(/\.cold(?:\.\d+)?$/, '');
