/** Shapes of frames that compilers make too rarely to be had from C on demand. */
import t from 'tap';
import { CodeIndex } from '../../../codegen/compile/code-index.js';
import { type MachineFunction, parseInstructions } from '../../../codegen/compile/disassembly.js';
import { type Frame, measureFrame } from '../../../codegen/compile/frame.js';
import { instructionSetOf } from '../../../codegen/compile/isa/instruction-set.js';
import type { Architecture } from '../../../targets/target.js';

/** The frame of a function given as instructions, one a line; addresses count lines. */
function frameOf(arch: Architecture, lines: string): Frame {
  const isa = instructionSetOf(arch);
  const listing = lines
    .trim()
    .split('\n')
    .map((line, address) => `${address.toString(16)}:\t${line.trim()}`);
  const code = parseInstructions(['Disassembly of section .text:', ...listing].join('\n'), isa, 'a.o');
  const em: MachineFunction = { name: 'em_f', object: 'a.o', isGlobal: true, code };
  const object = {
    object: 'a.o',
    sections: [],
    symbols: [],
    functions: [em],
    instructions: code,
    dataRelocations: [],
  };
  return measureFrame(em, new CodeIndex([object]), isa);
}

t.test('a realigned frame whose old stack pointer comes back from memory', async (t) => {
  const frame = frameOf(
    'x86_64',
    `lea    0x8(%rsp),%r10
     and    $0xffffffffffffffe0,%rsp
     push   -0x8(%r10)
     push   %rbp
     mov    %rsp,%rbp
     push   %r10
     sub    $0x28,%rsp
     call   *%rax
     add    $0x28,%rsp
     pop    %r10
     pop    %rbp
     lea    -0x8(%r10),%rsp
     ret`,
  );
  // Return address 8, alignment to 32 from 8 below a multiple of 16: 24 at most, three pushes, 0x28.
  t.equal(frame.bytes, 8 + 24 + 24 + 40);
  t.same(
    frame.calls.map(({ depth, isTail }) => [depth, isTail]),
    [[96, false]],
  );
});

t.test('several ways out: each starts from its own depth', async (t) => {
  const frame = frameOf(
    'riscv64',
    `beqz   a0,5 <em_f+0x5>
     addi   sp,sp,-64
     jalr   a1
     addi   sp,sp,64
     ret
     addi   sp,sp,-32
     jalr   a2
     addi   sp,sp,32
     jr     a3`,
  );
  t.equal(frame.bytes, 64);
  t.same(
    frame.calls.map(({ depth }) => depth).sort((a, b) => a - b),
    [0, 32, 64],
    'nothing of the frame is left at the tail call',
  );
});

t.test('a frame left through the frame pointer', async (t) => {
  const body = (restore: string) => `stp    x29, x30, [sp, #-32]!
     mov    x29, sp
     sub    sp, sp, #0x40
     blr    x1
     ${restore}
     ldp    x29, x30, [sp], #32
     br     x2`;
  const frame = frameOf('aarch64', body('mov    sp, x29'));
  t.equal(frame.bytes, 96);
  t.same(
    frame.calls.map(({ depth }) => depth),
    [96, 0],
  );
  t.throws(() => frameOf('aarch64', body('mov    sp, x19')), { code: 'EM3104', why: /set from a register/ });
});

t.test('a copy of the stack pointer that was overwritten is no longer one', async (t) => {
  const lines = `stp    x29, x30, [sp, #-32]!
     mov    x9, sp
     ldr    x9, [x0]
     mov    sp, x9
     blr    x1
     ret`;
  t.throws(() => frameOf('aarch64', lines), { code: 'EM3104' });
});

t.test('a stack that grows in a loop', async (t) => {
  const loops: Record<Architecture, string> = {
    x86_64: 'push   %rax\ndec    %rdi\njne    0 <em_f>\nret',
    aarch64: 'str    x0, [sp, #-16]!\ncbnz   x1, 0 <em_f>\nret',
    riscv64: 'addi   sp,sp,-16\nbnez   a0,0 <em_f>\nret',
  };
  for (const [arch, lines] of Object.entries(loops)) {
    t.throws(() => frameOf(arch as Architecture, lines), { code: 'EM3104', why: /grows in a loop/ }, arch);
  }
});

t.test('code behind a trap or a return counts only if something leads there', async (t) => {
  t.equal(frameOf('x86_64', 'ud2\nsub    $0x400,%rsp\nret').bytes, 8);
  t.equal(frameOf('x86_64', 'jmp    2 <em_f+0x2>\nret\nsub    $0x400,%rsp\nret').bytes, 8 + 1024);
});
