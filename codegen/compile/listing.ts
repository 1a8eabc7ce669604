/**
 * The machine code of one object, read from the assembly listing it was assembled from: for toolchains that
 * bring no disassembler.
 *
 * Addresses count instructions, not bytes. A listing that could hide code from a reader (bytes between
 * instructions, macros, sections within sections) is refused.
 */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { EmbedError } from '../diagnostics/error.js';
import {
  type Instruction,
  type MachineFunction,
  type ObjectCode,
  parseInstruction,
  type Relocation,
} from './disassembly.js';
import { type ElfObject, type ElfSymbol, readElfObject } from './elf-object.js';
import type { InstructionSet } from './isa/instruction-set.js';

/** Reads the listing of the object at path `object`. Throws EM3006. */
export async function readListing(listing: string, object: string, isa: InstructionSet): Promise<ObjectCode> {
  const elf = await readElfObject(object);
  return parseListing(await readFile(listing, 'utf8'), elf, isa, basename(object));
}

/** As readListing, from the text of the listing; `object` is the file name that stands in errors. */
export function parseListing(text: string, elf: ElfObject, isa: InstructionSet, object: string): ObjectCode {
  return new ListingReader(elf, isa, object).read(text);
}

/** Directives that put nothing between instructions. */
const harmless =
  /^\.(?:globl|global|weak|hidden|local|type|size|p2align|balign|align|file|ident|loc|cfi_\w+|addrsig|addrsig_sym|attribute|option)$/;
/** Directives whose operands are stored. */
const stored =
  /^\.(?:byte|[248]byte|h?word|short|half|long|int|xword|dword|quad|zero|fill|space|asci[iz]|string)$/;

const labelAtStart = /^([A-Za-z_.$][\w.$]*):\s*/;
/** A name with what says how it is used: `%pcrel_lo(` or `:lo12:` before it, `@GOTPCREL` behind it. */
const reference = /(?<![%\w.$])(%\w+\(|:\w+:)?([A-Za-z_.$][\w.$]*)(@\w+)?/g;

interface Label {
  readonly section: string;
  /** Instructions of the section before it. */
  readonly address: number;
}

class ListingReader {
  private section = { name: '.text', isCode: true };
  private readonly labels = new Map<string, Label>();
  private readonly functionNames = new Set<string>();
  /** Instructions in each function, by name. */
  private readonly sizes = new Map<string, number>();
  private readonly counts = new Map<string, number>();
  private readonly instructions: (Instruction & { relocations: Relocation[] })[] = [];
  private readonly dataOperands: string[] = [];
  private readonly elfSymbols: ReadonlyMap<string, ElfSymbol>;

  constructor(
    private readonly elf: ElfObject,
    private readonly isa: InstructionSet,
    private readonly object: string,
  ) {
    this.elfSymbols = new Map(elf.symbols.map((symbol) => [symbol.name, symbol]));
  }

  read(text: string): ObjectCode {
    for (const line of text.split('\n')) {
      for (const statement of this.statements(line)) {
        this.take(statement);
      }
    }
    for (const instruction of this.instructions) {
      instruction.relocations.push(...this.references(instruction.operands));
    }
    const functions = this.functions();
    this.refuseOtherFunctions(functions);
    return {
      object: this.object,
      sections: this.elf.sections,
      symbols: this.symbols(),
      functions,
      instructions: this.instructions,
      dataRelocations: this.dataOperands.flatMap((operands) => this.references(operands)),
    };
  }

  /** Text in quotes holds neither comments nor separators: it is only ever stored. */
  private statements(line: string): string[] {
    if (line.includes('"')) {
      return [line.trim()];
    }
    const code = line.replace(/\/\*.*?\*\//g, ' ').replace(this.isa.listingComment, '');
    return code.split(';').map((statement) => statement.trim());
  }

  private take(statement: string): void {
    const label = labelAtStart.exec(statement);
    if (label !== null) {
      this.labels.set(label[1], { section: this.section.name, address: this.count() });
      this.take(statement.slice(label[0].length));
    } else if (statement.startsWith('.')) {
      const [, directive, operands] = /^(\S+)\s*(.*)$/.exec(statement) as RegExpExecArray;
      this.obey(directive, operands);
    } else if (statement !== '') {
      this.add(statement);
    }
  }

  private obey(directive: string, operands: string): void {
    if (directive === '.section') {
      const [, name, flags = ''] =
        /^([^,\s]+)(?:,\s*"(\w*)")?/.exec(operands) ?? this.refuse(`.section ${operands}`);
      this.section = { name, isCode: flags.includes('x') || /^\.text(?:\.|$)/.test(name) };
    } else if (directive === '.text' || directive === '.data' || directive === '.bss') {
      this.section = { name: directive, isCode: directive === '.text' };
    } else if (stored.test(directive) && !this.section.isCode) {
      this.dataOperands.push(operands.includes('"') ? '' : operands);
    } else if (!harmless.test(directive)) {
      this.refuse(`${directive} ${operands}`);
    }
    const [name, ...rest] = operands.split(/,\s*/);
    if (directive === '.type' && /^[@%]function\b/.test(rest[0] ?? '')) {
      this.functionNames.add(name);
    }
    const label = this.labels.get(name);
    if (directive === '.size' && label !== undefined && this.functionNames.has(name)) {
      this.sizes.set(name, this.count() - label.address);
    }
  }

  private add(statement: string): void {
    const isPlain = this.section.isCode && !/["=]/.test(statement); // neither a strange name nor an assignment
    const parsed = isPlain ? parseInstruction(statement, this.isa) : undefined;
    if (parsed === undefined) {
      this.refuse(statement);
    }
    const { name } = this.section;
    this.instructions.push({ ...parsed, section: name, address: this.count(), relocations: [] });
    this.counts.set(name, this.count() + 1);
  }

  private count(): number {
    return this.counts.get(this.section.name) ?? 0;
  }

  /** The names among the operands that the listing defines or another object has to bring. */
  private references(operands: string): Relocation[] {
    return [...operands.matchAll(reference)]
      .filter(([, , name]) => this.labels.has(name) || this.elfSymbols.has(name))
      .map(([, before = '', symbol, behind = '']) => ({ type: `${before}${behind}`, symbol, addend: 0 }));
  }

  private functions(): MachineFunction[] {
    return [...this.sizes]
      .filter(([, size]) => size > 0)
      .map(([name, size]) => {
        const { section, address } = this.labels.get(name) as Label;
        return {
          name,
          object: this.object,
          isGlobal: this.isGlobal(name),
          code: this.instructions.filter(
            (one) => one.section === section && one.address >= address && one.address < address + size,
          ),
        };
      });
  }

  /** Labels with their addresses here, and what the object knows beyond them. */
  private symbols(): ElfSymbol[] {
    const inCode = new Set(this.instructions.map(({ section }) => section));
    const labels = [...this.labels].filter(([, { section }]) => inCode.has(section));
    const known = new Set(labels.map(([name]) => name));
    return [
      ...labels.map(([name, label]) => ({
        ...label,
        name,
        bytes: this.elfSymbols.get(name)?.bytes ?? 0,
        isGlobal: this.isGlobal(name),
        isFunction: this.sizes.has(name),
      })),
      ...this.elf.symbols.filter(({ name, section }) => !known.has(name) && !inCode.has(section)),
    ];
  }

  private isGlobal(name: string): boolean {
    return this.elfSymbols.get(name)?.isGlobal ?? false;
  }

  /** What is audited must be what was assembled. */
  private refuseOtherFunctions(functions: readonly MachineFunction[]): void {
    const inObject = this.elf.symbols
      .filter(({ isFunction, section, bytes }) => isFunction && section !== '*UND*' && bytes > 0)
      .map(({ name }) => name);
    const listed = functions.map(({ name }) => name);
    const [stranger] = [
      ...inObject.filter((name) => !listed.includes(name)),
      ...listed.filter((name) => !inObject.includes(name)),
    ];
    if (stranger !== undefined) {
      this.refuse(`${stranger} is a function in the listing or in the object, but not in both`);
    }
  }

  private refuse(what: string): never {
    throw new EmbedError('EM3006', {
      where: `${this.object}, assembly listing`,
      why: `not understood in section ${this.section.name}: ${what}`,
    });
  }
}
