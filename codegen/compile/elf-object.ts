/** Sections, symbols and relocations of one ELF object, read from the file itself: no nm, size or readelf is needed. */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { EmbedError } from '../diagnostics/error.js';

export interface ElfSection {
  readonly name: string;
  readonly bytes: number;
  /** Part of the program when it runs. */
  readonly isLoaded: boolean;
  readonly isCode: boolean;
  readonly isWritable: boolean;
  /** Zeros that take no room in the file. */
  readonly isZero: boolean;
  /** A note to the linker or the loader. */
  readonly isNote: boolean;
}

export interface ElfSymbol {
  /** A section's symbol has the name of the section. */
  readonly name: string;
  /** '*UND*' where another object has to bring it, '*COM*' for a common block, '*ABS*' for a mere number. */
  readonly section: string;
  /** Within the section. */
  readonly address: number;
  readonly bytes: number;
  readonly isGlobal: boolean;
  readonly isFunction: boolean;
}

/** An address the linker is to fill in, somewhere in `section`: that of `symbol` plus `addend`. */
export interface ElfRelocation {
  readonly section: string;
  readonly symbol: string;
  readonly addend: number;
}

export interface ElfObject {
  readonly sections: readonly ElfSection[];
  readonly symbols: readonly ElfSymbol[];
  readonly relocations: readonly ElfRelocation[];
}

/** System V ABI, chapter 4, and psABI supplements; the names are theirs. */
const magic = '\x7fELF';
const ELFCLASS64 = 2;
const ELFDATA2LSB = 1;
const SHT_SYMTAB = 2;
const SHT_RELA = 4;
const SHT_NOTE = 7;
const SHT_NOBITS = 8;
const SHF_WRITE = 1;
const SHF_ALLOC = 2;
const SHF_EXECINSTR = 4;
const STT_FUNC = 2;
const STT_SECTION = 3;
const STB_LOCAL = 0;
const SHN_UNDEF = 0;
const sectionHeaderBytes = 64;
const symbolBytes = 24;
const relocationBytes = 24;

/** Section numbers that are none. */
const specialSections: Readonly<Record<number, string>> = {
  [SHN_UNDEF]: '*UND*',
  65521: '*ABS*',
  65522: '*COM*',
};

/** Reads an object file. Throws EM3006 if it is none, or damaged. */
export async function readElfObject(path: string): Promise<ElfObject> {
  return parseElfObject(await readFile(path), basename(path));
}

/** As readElfObject, from the bytes of the file; `name` stands in errors. */
export function parseElfObject(file: Buffer, name: string): ElfObject {
  try {
    return new ElfReader(file).read();
  } catch (cause) {
    // Buffers refuse to be read outside their bounds with RangeError.
    const why = cause instanceof RangeError ? 'it is cut short or damaged' : (cause as Error).message;
    throw new EmbedError('EM3006', { where: name, why, cause });
  }
}

interface SectionHeader extends ElfSection {
  readonly type: number;
  readonly offset: number;
  readonly link: number;
  readonly info: number;
}

class ElfReader {
  constructor(private readonly file: Buffer) {}

  read(): ElfObject {
    const { file } = this;
    if (
      file.toString('latin1', 0, 4) !== magic ||
      file.readUInt8(4) !== ELFCLASS64 ||
      file.readUInt8(5) !== ELFDATA2LSB
    ) {
      throw new Error('it is no 64-bit little-endian ELF file');
    }
    const sections = this.sections();
    const table = sections.find(({ type }) => type === SHT_SYMTAB);
    const symbols = table === undefined ? [] : this.symbols(table, sections);
    const relocations = sections
      .filter(({ type }) => type === SHT_RELA)
      .flatMap((section) => this.relocations(section, sections, symbols));
    return { sections, symbols, relocations };
  }

  private sections(): SectionHeader[] {
    const { file } = this;
    const table = this.number(0x28);
    const count = file.readUInt16LE(0x3c);
    const headers = Array.from({ length: count }, (_, index) =>
      this.section(table + index * sectionHeaderBytes),
    );
    const names = headers[file.readUInt16LE(0x3e)];
    return headers.map((header) => ({ ...header, name: this.text(names, header.nameOffset) }));
  }

  private section(at: number): SectionHeader & { readonly nameOffset: number } {
    const { file } = this;
    const type = file.readUInt32LE(at + 4);
    const flags = this.number(at + 8);
    return {
      name: '',
      nameOffset: file.readUInt32LE(at),
      type,
      bytes: this.number(at + 32),
      isLoaded: (flags & SHF_ALLOC) !== 0,
      isCode: (flags & SHF_EXECINSTR) !== 0,
      isWritable: (flags & SHF_WRITE) !== 0,
      isZero: type === SHT_NOBITS,
      isNote: type === SHT_NOTE,
      offset: this.number(at + 24),
      link: file.readUInt32LE(at + 40),
      info: file.readUInt32LE(at + 44),
    };
  }

  private symbols(table: SectionHeader, sections: readonly SectionHeader[]): ElfSymbol[] {
    const { file } = this;
    const names = sections[table.link];
    return Array.from({ length: this.entries(table, symbolBytes) }, (_, index) => {
      const at = table.offset + index * symbolBytes;
      const info = file.readUInt8(at + 4);
      const number = file.readUInt16LE(at + 6);
      const section = specialSections[number] ?? nameOf(sections, number);
      return {
        name: (info & 15) === STT_SECTION ? section : printable(this.text(names, file.readUInt32LE(at))),
        section,
        address: this.number(at + 8),
        bytes: this.number(at + 16),
        isGlobal: info >> 4 !== STB_LOCAL,
        isFunction: (info & 15) === STT_FUNC,
      };
    });
  }

  private relocations(
    table: SectionHeader,
    sections: readonly SectionHeader[],
    symbols: readonly ElfSymbol[],
  ): ElfRelocation[] {
    const { file } = this;
    const section = nameOf(sections, table.info);
    return Array.from({ length: this.entries(table, relocationBytes) }, (_, index) => {
      const at = table.offset + index * relocationBytes;
      const symbol = symbols[file.readUInt32LE(at + 12)];
      if (symbol === undefined) {
        throw new RangeError('no such symbol');
      }
      return { section, symbol: symbol.name, addend: Number(file.readBigInt64LE(at + 16)) };
    });
  }

  /** Entries of a table that lies within the file. */
  private entries({ offset, bytes }: SectionHeader, entryBytes: number): number {
    if (offset + bytes > this.file.length) {
      throw new RangeError('table outside the file');
    }
    return Math.floor(bytes / entryBytes);
  }

  private number(at: number): number {
    return Number(this.file.readBigUInt64LE(at));
  }

  /** A string of a string table, up to its NUL. */
  private text(table: SectionHeader | undefined, offset: number): string {
    const from = (table?.offset ?? Number.POSITIVE_INFINITY) + offset;
    const end = this.file.indexOf(0, from);
    if (from >= this.file.length || end < 0) {
      throw new RangeError('name outside the file');
    }
    return this.file.toString('utf8', from, end);
  }
}

function nameOf(sections: readonly SectionHeader[], number: number): string {
  const section = sections[number];
  if (section === undefined) {
    throw new RangeError('no such section');
  }
  return section.name;
}

/** The assembler's numbered labels hold a control character, which objdump shows as ^B in relocations. */
const printable = (name: string): string =>
  name.replace(/\p{Cc}/gu, (character) => `^${String.fromCharCode(character.charCodeAt(0) + 64)}`);
