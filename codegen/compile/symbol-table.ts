/** A symbol of an ELF object, as `objdump -t` prints it. */
export interface ElfSymbol {
  readonly name: string;
  /** '*UND*' where another object has to bring it, '*COM*' for a common block, '*ABS*' for a mere number. */
  readonly section: string;
  /** Within the section. */
  readonly address: number;
  readonly bytes: number;
  readonly isGlobal: boolean;
  readonly isFunction: boolean;
}

/** value, seven columns of flags, section, size, visibility if it is not the default, name. */
const symbolLine = /^([0-9a-f]{16}) (.)(.{5})(.) (\S+)\t([0-9a-f]{16})(?: (?:\.\w+|0x[0-9a-f]+))* (.*)$/gm;

/** From the text of `objdump -t` (GNU or LLVM) on one object. */
export function parseSymbolTable(text: string): ElfSymbol[] {
  return [...text.matchAll(symbolLine)].map(([, value, scope, flags, type, section, size, name]) => ({
    name: printable(name),
    section,
    address: Number.parseInt(value, 16),
    bytes: Number.parseInt(size, 16),
    isGlobal: scope === 'g' || flags.includes('w') || section === '*UND*',
    isFunction: type === 'F',
  }));
}

/**
 * The assembler's numbered labels hold a control character, which objdump shows as ^B in relocations alone.
 */
const printable = (name: string): string =>
  name.replace(/\p{Cc}/gu, (character) => `^${String.fromCharCode(character.charCodeAt(0) + 64)}`);
