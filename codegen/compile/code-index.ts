/** Which function stands where, over all objects of a library. */

import { EmbedError } from '../diagnostics/error.js';
import type { Instruction, MachineFunction, ObjectCode, Relocation } from './disassembly.js';

/** What an address in an object means. */
export type Place =
  | { readonly kind: 'inside'; readonly function: MachineFunction; readonly instruction: Instruction }
  /** No object of the library brings the symbol. */
  | { readonly kind: 'undefined'; readonly symbol: string }
  /** A constant, a variable, or padding. */
  | { readonly kind: 'elsewhere' };

export class CodeIndex {
  /** Global functions by name. */
  private readonly globals = new Map<string, MachineFunction>();
  /** By object, section and address. */
  private readonly places = new Map<string, { function: MachineFunction; instruction: Instruction }>();
  private readonly addresses = new Map<string, { section: string; address: number }>();

  constructor(readonly objects: readonly ObjectCode[]) {
    for (const { object, symbols, functions } of objects) {
      for (const { name, section, address } of symbols) {
        if (section !== '*UND*') {
          this.addresses.set(`${object}\n${name}`, { section, address });
        }
      }
      for (const one of functions) {
        for (const instruction of one.code) {
          const place = `${object}\n${instruction.section}\n${instruction.address}`;
          // Two names for the same code: the global one is shown.
          if (!this.places.has(place) || one.isGlobal) {
            this.places.set(place, { function: one, instruction });
          }
        }
      }
    }
    for (const { functions } of objects) {
      for (const one of functions.filter(({ isGlobal }) => isGlobal)) {
        this.globals.set(one.name, this.canonical(one));
      }
    }
  }

  /** All functions, those with several names once. */
  get functions(): MachineFunction[] {
    return [...new Set(this.objects.flatMap((object) => object.functions.map((one) => this.canonical(one))))];
  }

  /** Where a relocation or an address, seen in `section` of `object`, leads. */
  locate(object: string, section: string, target: Relocation | number): Place {
    if (typeof target === 'number') {
      return this.at(object, section, target);
    }
    const symbol = this.addresses.get(`${object}\n${target.symbol}`);
    if (symbol !== undefined) {
      return this.at(object, symbol.section, symbol.address + target.addend);
    }
    if (target.symbol.startsWith('.') || target.symbol === '*ABS*') {
      // Sections have no symbol of their own in what LLVM's assembler makes.
      return this.at(object, target.symbol, target.addend);
    }
    const global = this.globals.get(target.symbol);
    return global === undefined
      ? { kind: 'undefined', symbol: target.symbol }
      : { kind: 'inside', function: global, instruction: global.code[0] };
  }

  private at(object: string, section: string, address: number): Place {
    const found = this.places.get(`${object}\n${section}\n${address}`);
    return found === undefined ? { kind: 'elsewhere' } : { kind: 'inside', ...found };
  }

  private canonical(one: MachineFunction): MachineFunction {
    const entry = one.code[0];
    const found = this.places.get(`${one.object}\n${entry.section}\n${entry.address}`);
    if (found === undefined) {
      throw new EmbedError('EM3006', { where: `${one.object}: ${one.name}`, why: 'function has no code' });
    }
    return found.function;
  }
}
