import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { auditLibrary } from '../../../codegen/compile/audit.js';
import type { DeclaredCalls } from '../../../codegen/compile/call-graph.js';
import { compileLibrary } from '../../../codegen/compile/compile.js';
import type { ElfObject, ElfSymbol } from '../../../codegen/compile/elf-object.js';
import { findProgram } from '../../../codegen/compile/find-program.js';
import { instructionSetOf } from '../../../codegen/compile/isa/instruction-set.js';
import { parseListing } from '../../../codegen/compile/listing.js';
import type { Architecture } from '../../../targets/target.js';
import { installedToolchains } from './installed.js';
import { sourceFolder } from './source-folder.js';

const data = fileURLToPath(new URL('../../../../test/data/compile/', import.meta.url));

/** What an assembler makes of functions and of names that others bring. */
function object(functions: readonly string[], undefinedNames: readonly string[] = []): ElfObject {
  const symbol = (name: string, section: string): ElfSymbol => {
    const isFunction = section !== '*UND*';
    return {
      name,
      section,
      address: 0,
      bytes: isFunction ? 4 : 0,
      isGlobal: name.startsWith('em_'),
      isFunction,
    };
  };
  return {
    sections: [],
    relocations: [],
    symbols: [
      ...functions.map((name) => symbol(name, `.text.${name}`)),
      ...undefinedNames.map((name) => symbol(name, '*UND*')),
    ],
  };
}

const parse = (arch: Architecture, text: string, elf: ElfObject) =>
  parseListing(text, elf, instructionSetOf(arch), 'a.o');

/** A function as clang writes it. */
const written = (name: string, body: string) => `\t.section\t.text.${name},"ax",@progbits
\t.globl\t${name}
\t.p2align\t1
\t.type\t${name},@function
${name}:
${body}
.Lfunc_end_${name}:
\t.size\t${name}, .Lfunc_end_${name}-${name}
`;

t.test('functions, references and data', async (t) => {
  const text = `\t.file\t"a.c"
${written('em_f', '# %bb.0:\n\taddi\tsp, sp, -16   # grow; em_out\n.Lpcrel_hi0:\n\tauipc\ta0, %pcrel_hi(local)\n\taddi\ta0, a0, %pcrel_lo(.Lpcrel_hi0)\n\tbeqz\ta0, .LBB0_2\n\tcall\tem_out\n.LBB0_2:\n\tret')}${written('local', '\tret')}
\t.section\t.rodata.em_table,"a",@progbits
em_table:
\t.quad\tlocal
\t.asciz\t"a # b; em_f"
\t.size\tem_table, 8
`;
  const code = parse('riscv64', text, object(['em_f', 'local'], ['em_out']));
  t.same(
    code.functions.map(({ name, isGlobal, code }) => [name, isGlobal, code.length]),
    [
      ['em_f', true, 6],
      ['local', false, 1],
    ],
  );
  t.same(
    code.instructions.map(({ mnemonic, relocations }) => [
      mnemonic,
      ...relocations.map(({ symbol }) => symbol),
    ]),
    [
      ['addi'],
      ['auipc', 'local'],
      ['addi', '.Lpcrel_hi0'],
      ['beqz', '.LBB0_2'],
      ['call', 'em_out'],
      ['ret'],
      ['ret'],
    ],
  );
  t.equal(code.instructions[0].operands, 'sp, sp, -16', 'without the comment');
  t.same(code.dataRelocations, [{ type: '', symbol: 'local', addend: 0 }], 'text is not looked into');
  t.match(
    code.symbols.find(({ name }) => name === '.LBB0_2'),
    { section: '.text.em_f', address: 5 },
  );
});

t.test('registers are no names', async (t) => {
  const body = '\tmovq\tax@GOTPCREL(%rip), %rax\n\tjmp\t*%rax\n\tcallq\tax@PLT';
  const { instructions } = parse('x86_64', written('em_f', body), object(['em_f'], ['ax', 'rax']));
  t.same(
    instructions.map(({ relocations }) => relocations),
    [[{ type: '@GOTPCREL', symbol: 'ax', addend: 0 }], [], [{ type: '@PLT', symbol: 'ax', addend: 0 }]],
  );
});

t.test('what could hide code is refused', async (t) => {
  for (const [what, body] of [
    ['bytes between instructions', '\t.byte\t0x1e, 0x20\n\tret'],
    ['an encoded instruction', '\t.inst\t0x1e622820\n\tret'],
    ['a file', '\t.incbin\t"code"\n\tret'],
    ['a macro', '\t.macro\tm\n\tret\n\t.endm'],
    ['a section within', '\t.pushsection\t.text.other,"ax"\n\tret\n\t.popsection'],
    ['a numbered label', '1:\n\tret'],
    ['a name by assignment', '\tem_g = em_f\n\tret'],
    ['another name by directive', '\t.set\tem_g, em_f\n\tret'],
    ['a name in quotes', '\tbl\t"em f"\n\tret'],
  ] as const) {
    t.throws(
      () => parse('aarch64', written('em_f', body), object(['em_f'])),
      { code: 'EM3006', where: /a\.o/, why: /not understood in section \.text/ },
      what,
    );
  }
  const second = parse('aarch64', written('em_f', '\tnop; fadd\ts0, s0, s1\n\tret'), object(['em_f']));
  t.same(
    second.instructions.map(({ mnemonic }) => mnemonic),
    ['nop', 'fadd', 'ret'],
    'two on a line are two',
  );
});

t.test('a listing of another object', async (t) => {
  const text = written('em_f', '\tret');
  t.throws(() => parse('riscv64', text, object(['em_f', 'em_g'])), { code: 'EM3006', why: /em_g/ });
  t.throws(() => parse('riscv64', text, object([])), { code: 'EM3006', why: /em_f/ });
});

t.test('zig checks nothing at run time', async (t) => {
  const source = `int em_add(int a, int b) { return a + b; }
    int em_shift(int a, int b) { return a << b; }
    int em_load(const int *p, int i) { return p[i]; }
    int em_divide(int a, int b) { return a / b; }`;
  for (const { title, target, family, toolchain, skip } of await installedToolchains()) {
    if (family !== 'zig') {
      continue;
    }
    t.test(title, { skip }, async (t) => {
      const root = await sourceFolder(t, { 'a.c': source });
      const options = { target, toolchain: toolchain!, includeDirs: [], root, outDir: join(root, 'obj') };
      const library = await compileLibrary({ ...options, sources: [join(root, 'a.c')] });
      const declared = { indirect: {}, hooks: {} };
      const audit = await auditLibrary({ target, toolchain: toolchain!, library, declared });
      t.same(audit.undefinedSymbols, [], 'no handlers');
      const text = await readFile(library.objects[0].listing!, 'utf8');
      t.notMatch(text, /^\s*(?:ud1|ud2|udf|brk|ebreak|unimp)\b/m, 'no traps');
      t.ok(audit.instructions <= 24, `${audit.instructions} instructions for four operations`);
    });
  }
});

t.test('listing and disassembly lead to the same figures', async (t) => {
  const objdump = await findProgram('llvm-objdump');
  for (const { title, target, family, toolchain, skip } of await installedToolchains()) {
    if (family !== 'zig') {
      continue;
    }
    const why =
      skip || (objdump === undefined ? 'no llvm-objdump' : title.startsWith('riscv-u74-zb') && 'extensions');
    t.test(title, { skip: why }, async (t) => {
      const root = await sourceFolder(t, { 'chain.c': await readFile(join(data, 'chain.c'), 'utf8') });
      const options = { target, toolchain: toolchain!, includeDirs: [], root, outDir: join(root, 'obj') };
      const library = await compileLibrary({ ...options, sources: [join(root, 'chain.c')] });
      const declared: DeclaredCalls = {
        indirect: { run_tasks: ['em_serial_for'], em_serial_for: ['task'] },
        hooks: {},
      };
      const listed = await auditLibrary({ target, toolchain: toolchain!, library, declared });
      const other = { ...toolchain!, objdump: objdump! };
      const objects = library.objects.map((one) => ({ ...one, listing: null }));
      const taken = await auditLibrary({
        target,
        toolchain: other,
        library: { ...library, objects },
        declared,
      });
      // A call is one line in a listing and two instructions on RISC-V; padding is in the object alone.
      t.same({ ...listed, instructions: 0 }, { ...taken, instructions: 0 });
      t.ok(listed.instructions > 100 && listed.instructions <= taken.instructions);
    });
  }
});
