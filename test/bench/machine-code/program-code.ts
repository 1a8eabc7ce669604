/** The functions of a linked program, disassembled: instructions with their addresses, jumps and calls. */
import { runTool } from '../../../codegen/compile/run-tool.js';

export interface CodeLine {
  readonly address: number;
  /** As the disassembler prints it, without comments and without the name behind an address. */
  readonly text: string;
  readonly mnemonic: string;
  /** Address that a jump or call names, else null. */
  readonly destination: number | null;
  readonly isCall: boolean;
  readonly isReturn: boolean;
}

export interface ProgramFunction {
  readonly name: string;
  readonly lines: readonly CodeLine[];
}

/** Calls of the three architectures: x86-64, AArch64, RISC-V. */
const callMnemonics = new Set(['call', 'callq', 'bl', 'blr', 'jal', 'jalr']);
const returnMnemonics = new Set(['ret', 'retq']);

/** Disassembles a program that has its symbols. */
export async function disassembleProgram(objdump: string, program: string): Promise<ProgramFunction[]> {
  const { stdout } = await runTool([objdump, '-d', '--no-show-raw-insn', program]);
  return parseProgram(stdout);
}

export function parseProgram(listing: string): ProgramFunction[] {
  const functions: { name: string; lines: CodeLine[] }[] = [];
  for (const line of listing.split('\n')) {
    const heading = /^[0-9a-f]+ <(.+)>:$/.exec(line);
    if (heading !== null) functions.push({ name: heading[1]!, lines: [] });
    const code = /^\s*([0-9a-f]+):\s+(\S.*)$/.exec(line);
    if (code !== null) functions.at(-1)?.lines.push(parseLine(Number.parseInt(code[1]!, 16), code[2]!));
  }
  return functions;
}

function parseLine(address: number, printed: string): CodeLine {
  const code = printed.replace(/\s+(# |\/\/).*$/, '').replace(/\t/g, ' ');
  const target = /(?:^|[ ,])(?:0x)?([0-9a-f]+) <[^>]*>$/.exec(code);
  const text = code.replace(/ <[^>]*>$/, '').trim();
  const mnemonic = text.split(' ', 1)[0]!;
  return {
    address,
    text,
    mnemonic,
    destination: target === null ? null : Number.parseInt(target[1]!, 16),
    isCall: callMnemonics.has(mnemonic),
    isReturn: returnMnemonics.has(mnemonic),
  };
}

/** The function called `name` and all that it calls, directly or not; parts that the compiler named `name.part` count as it. */
export function reachableFunctions(program: readonly ProgramFunction[], name: string): ProgramFunction[] {
  const byEntry = new Map(program.map((one) => [one.lines[0]?.address ?? -1, one]));
  const reached = new Set(program.filter((one) => one.name === name || one.name.startsWith(`${name}.`)));
  for (const one of reached) {
    for (const { destination } of one.lines) {
      const callee = destination === null ? undefined : byEntry.get(destination);
      if (callee !== undefined) reached.add(callee);
    }
  }
  return [...reached];
}
