/** The syntax of C sources by tree-sitter: whether they parse, and whether floating point occurs in them. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Language, type Node, Parser } from 'web-tree-sitter';
import { runtimeFolder } from './c-compiler.js';

const grammar = createRequire(import.meta.url).resolve('tree-sitter-c/tree-sitter-c.wasm');

const attribute = /\s*__attribute__\(\(\w+(?:\([^()]*\))?\)\)/g;

/** Macros of a source that stand for attributes, with what is left of them when attributes are left out. */
function attributeMacros(source: string): [name: string, rest: string][] {
  const definitions = source.matchAll(/^#define (EM_\w+)( .*__attribute__.*)$/gm);
  return [...definitions].map(([, name, text]) => [name!, text!.replace(attribute, '')]);
}

export class CSyntax {
  readonly #portMacros = attributeMacros(readFileSync(join(runtimeFolder, 'em_port.h'), 'utf8'));

  private constructor(readonly parser: Parser) {}

  static async open(): Promise<CSyntax> {
    await Parser.init();
    const parser = new Parser();
    parser.setLanguage(await Language.load(grammar));
    return new CSyntax(parser);
  }

  /** What is wrong with a source, a line each: what does not parse, and every mention of floating point. */
  faults(source: string): string[] {
    // The grammar knows attributes in some places only, and no macros.
    const macros = new Map([...this.#portMacros, ...attributeMacros(source)]);
    const expanded = source
      .replace(/^(?!#).*$/gm, (line) => line.replace(/\bEM_\w+\b/g, (name) => macros.get(name) ?? name))
      .replace(attribute, '')
      // Hints for loops, and functions that a macro writes: what macros stand for is looked at where they are defined.
      .replace(/^(\s*)(?:EM_UNROLL(?:_FOUR)?|_Pragma\("[^"]*"\))$/gm, '$1')
      .replace(/^EM_[A-Z0-9_]+\([^()]*\)$/gm, '');
    const tree = this.parser.parse(expanded);
    if (tree === null) return ['not parsed'];
    const faults: string[] = [];
    const visit = (node: Node): void => {
      const fault = faultOf(node);
      if (fault !== null) faults.push(`line ${node.startPosition.row + 1}: ${fault}`);
      for (const child of node.children) if (child !== null) visit(child);
    };
    visit(tree.rootNode);
    tree.delete();
    return faults;
  }
}

const floatType = /^(?:float|double|_Float\w+|__fp16|__bf16|_Complex|_Decimal\w+|__float\d+)$/;

function faultOf(node: Node): string | null {
  if (node.type === 'ERROR' || node.isMissing) return `does not parse: ${node.text.slice(0, 60)}`;
  if (node.type === 'primitive_type' || node.type === 'type_identifier' || node.type === 'identifier')
    return floatType.test(node.text) ? `type ${node.text}` : null;
  if (node.type === 'number_literal') return isFloating(node.text) ? `literal ${node.text}` : null;
  if (node.type !== 'preproc_arg') return null;
  // What a macro stands for is text to the grammar.
  const text = node.text.replace(/\/\*.*?\*\/|\/\/.*|"[^"]*"/gs, ' ');
  const token = text
    .match(/\.?\d[\w.]*|[A-Za-z_]\w*/g)
    ?.find((t) => (/^[.\d]/.test(t) ? isFloating(t) : floatType.test(t)));
  return token === undefined ? null : `macro with ${token}`;
}

function isFloating(literal: string): boolean {
  return /^0x/i.test(literal) ? /[.p]/i.test(literal) : /[.e]|f$/i.test(literal);
}
