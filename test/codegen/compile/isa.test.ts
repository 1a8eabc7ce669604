import t from 'tap';
import { type Instruction, parseInstructions } from '../../../codegen/compile/disassembly.js';
import { instructionSetOf } from '../../../codegen/compile/isa/instruction-set.js';
import { type Architecture, architectures } from '../../../targets/target.js';

/** One instruction as objdump prints it. */
function instruction(arch: Architecture, text: string): Instruction {
  const listing = `Disassembly of section .text:\n  10:\t${text}\n`;
  return parseInstructions(listing, instructionSetOf(arch), 'a.o')[0];
}

const floating: Record<Architecture, string> = {
  x86_64: `addss subsd mulps divpd vaddss vmulps vdivsd vmaxss vminps vsqrtsd vrcpps vrsqrtss vroundps vhaddps vaddsubpd vdpps
    cvtsi2sd cvttss2si vcvtdq2ps vcvtps2ph ucomiss vucomisd comisd vcmpps cmpltsd vcmpeqpd vfmadd231ps vfnmsub132sd vfmaddsub213pd
    vaddsh vmulph vdpbf16ps vtestps fld fstp fadd fmulp fsqrt fild pfadd pi2fd`,
  aarch64: `fadd fsub fmul fdiv fmadd fmla fmls fneg fabs fsqrt fmax fminnm frinta frecpe fcmp fccmp fcmeq fcvt fcvtzs fcsel
    scvtf ucvtf faddp fcadd bfdot bfcvt bfmlalb`,
  riscv64: `fadd.s fsub.d fmul.s fdiv.d fmadd.s fnmsub.d fsqrt.s fsgnj.d fmin.s fcvt.w.s fcvt.d.l feq.s flt.d fle.s fclass.d
    flw fld fsd fsw fmv.x.w fmv.d.x c.fld vfadd.vv vfmul.vf vmfeq.vv vfredsum.vs`,
};

const integer: Record<Architecture, string> = {
  x86_64: `mov add imul shl push pushq clflush vpaddd vpmaddubsw vpmaddwd vpabsd pabsd vpmaxsd vpsignb vpermps vpermilps vpermd
    vmovups vmovaps vmovss movsd vmovd vmovmskps vxorps vandps vorpd vandnps vshufps vunpcklps vblendvps vbroadcastss
    vinsertf128 vextractf128 vperm2f128 vzeroupper vpdpbusd lfence mfence movsbl cmovs tzcnt vmaskmovps vgatherdps bts`,
  aarch64: `add mul madd smull smlal sadalp addp dup movi fmov ldr str ldp st1 tbl ushr sshr sqrdmulh bfi bfxil bfc bfm cmeq
    umov ins urecpe eor`,
  riscv64:
    'add addi mul mulhsu ld sd lbu slli fence fence.i fence.tso zext.h clz max sh1add vadd.vv vfirst.m',
};

t.test('floating point is told from moves and integers', async (t) => {
  for (const arch of architectures) {
    const isa = instructionSetOf(arch);
    for (const mnemonic of floating[arch].split(/\s+/)) {
      t.ok(isa.isFloatingPoint(instruction(arch, `${mnemonic} x`), []), `${arch} ${mnemonic} is`);
    }
    for (const mnemonic of integer[arch].split(/\s+/)) {
      t.notOk(isa.isFloatingPoint(instruction(arch, `${mnemonic} x`), []), `${arch} ${mnemonic} is not`);
    }
  }
});

t.test('a sign bit that is flipped to make a constant is no arithmetic', async (t) => {
  const isa = instructionSetOf('aarch64');
  const code = (...lines: string[]) => lines.map((line) => instruction('aarch64', line));
  const flips = (before: Instruction[]) =>
    isa.isFloatingPoint(instruction('aarch64', 'fneg\tv3.4s, v3.4s'), before);
  t.notOk(flips(code('mvni\tv3.4s, #127, msl #8')));
  t.notOk(flips(code('movi\tv3.2d, #0000000000000000', 'ldp\tx9, x8, [x0, #32]', 'movi\tv4.4s, #3')));
  t.ok(flips([]), 'nothing is known of the register');
  t.ok(flips(code('movi\tv13.4s, #1')), 'another register');
  t.ok(flips(code('movi\tv3.4s, #1', 'ldr\tq3, [x0]')), 'written since');
  t.ok(flips(code('movi\tv3.4s, #1', 'b.eq\t10')), 'control may come from elsewhere');
  t.ok(
    isa.isFloatingPoint(instruction('aarch64', 'fneg\tv3.4s, v4.4s'), code('movi\tv4.4s, #1')),
    'another value',
  );
});

/** GNU and LLVM spellings of what compilers write. */
const stackEffects: Record<Architecture, Record<string, unknown>> = {
  x86_64: {
    'push   %rbx': { kind: 'move', bytes: 8 },
    'pushq\t16(%rsp)': { kind: 'move', bytes: 8 },
    'pop    %rbp': { kind: 'move', bytes: -8 },
    'popcnt %rax,%rbx': undefined,
    'sub    $0x188,%rsp': { kind: 'move', bytes: 392 },
    'subq\t$408, %rsp              # imm = 0x198': { kind: 'move', bytes: 408 },
    'add    $0xffffffffffffff80,%rsp': { kind: 'move', bytes: 128 },
    'sub    $0xffffffffffffff80,%rsp': { kind: 'move', bytes: -128 },
    'addq\t$-128, %rsp': { kind: 'move', bytes: 128 },
    'lea    -0x10(%rsp),%rsp': { kind: 'move', bytes: 16 },
    'lea    0x8(%rsp),%r10': { kind: 'save', register: '%r10', offset: 8 },
    'mov    %rsp,%rbp': { kind: 'save', register: '%rbp', offset: 0 },
    'movq\t%rbp, %rsp': { kind: 'restore', register: '%rbp', offset: 0 },
    'lea    -0x28(%rbp),%rsp': { kind: 'restore', register: '%rbp', offset: -40 },
    leave: { kind: 'restore', register: '%rbp', offset: 8 },
    'and    $0xffffffffffffffc0,%rsp': { kind: 'align', bytes: 64 },
    'andq\t$-32, %rsp': { kind: 'align', bytes: 32 },
    'sub    %rax,%rsp': { kind: 'unknown' },
    'lea    0xf(%rax,%rsp,1),%rsp': { kind: 'unknown' },
    'xchg   %rax,%rsp': { kind: 'unknown' },
    'enter  $0x20,$0x0': { kind: 'unknown' },
    'cmp    %rax,%rsp': undefined,
    'mov    %rax,0x8(%rsp)': undefined,
    'mov    0x8(%rsp),%rax': undefined,
    'lea    0x10(%rdi),%rax': undefined,
  },
  aarch64: {
    'stp\tx29, x30, [sp, #-32]!': { kind: 'move', bytes: 32 },
    'ldp\tx29, x30, [sp], #32': { kind: 'move', bytes: -32 },
    'str\tx19, [sp, #-16]!': { kind: 'move', bytes: 16 },
    'stp\tx19, x20, [sp, #16]': undefined,
    'sub\tsp, sp, #0x190': { kind: 'move', bytes: 400 },
    'sub\tsp, sp, #0x2, lsl #12': { kind: 'move', bytes: 8192 },
    'add\tsp, sp, #416': { kind: 'move', bytes: -416 },
    'mov\tx29, sp': { kind: 'save', register: 'x29', offset: 0 },
    'add\tx29, sp, #0x20': { kind: 'save', register: 'x29', offset: 32 },
    'sub\tx9, sp, #0x60': { kind: 'save', register: 'x9', offset: -96 },
    'mov\tsp, x29': { kind: 'restore', register: 'x29', offset: 0 },
    'sub\tsp, x29, #0x10': { kind: 'restore', register: 'x29', offset: -16 },
    'and\tsp, x9, #0xffffffffffffffc0': { kind: 'align', register: 'x9', bytes: 64 },
    'sub\tsp, sp, x12': { kind: 'unknown' },
    'cmp\tsp, x0': undefined,
    'mov\tx0, x1': undefined,
    'add\tx0, x1, #0x8': undefined,
  },
  riscv64: {
    'addi\tsp, sp, -400': { kind: 'move', bytes: 400 },
    'add\tsp,sp,16': { kind: 'move', bytes: -16 },
    'c.addi16sp\tsp,-64': { kind: 'unknown' },
    'add\ts0,sp,16': { kind: 'save', register: 's0', offset: 16 },
    'mv\ta2,sp': { kind: 'save', register: 'a2', offset: 0 },
    'mv\tsp,s0': { kind: 'restore', register: 's0', offset: 0 },
    'addi\tsp, s0, -128': { kind: 'restore', register: 's0', offset: -128 },
    'and\tsp,sp,-64': { kind: 'align', bytes: 64 },
    'sub\tsp,sp,a1': { kind: 'unknown' },
    'add\tsp,sp,t0': { kind: 'unknown' },
    'sd\tra,8(sp)': undefined,
    'sd\tsp,8(a0)': undefined,
    'add\ta5,a4,sp': undefined,
    'addi\ta0, a0, 1': undefined,
  },
};

t.test('effects on the stack pointer', async (t) => {
  for (const arch of architectures) {
    for (const [text, effect] of Object.entries(stackEffects[arch])) {
      t.same(instructionSetOf(arch).stackEffect(instruction(arch, text)), effect, `${arch} ${text}`);
    }
  }
});

const transfers: Record<Architecture, Record<string, unknown>> = {
  x86_64: {
    'call   14 <em_norm+0x14>': { kind: 'call', target: 0x14 },
    'callq\t0xa <em_norm+0xa>': { kind: 'call', target: 0xa },
    'call   *%rax': { kind: 'call', target: 'indirect' },
    'callq\t*8(%rdi)': { kind: 'call', target: 'indirect' },
    'notrack jmp *%rax': { kind: 'jump', target: 'indirect' },
    'bnd jmp 1f <f+0x1f>': { kind: 'jump', target: 0x1f },
    'ja     d <sw+0xd>': { kind: 'branch', target: 0xd },
    'rep ret': { kind: 'return' },
    retq: { kind: 'return' },
    ud2: { kind: 'stop' },
    'lock cmpxchg %rax,(%rdi)': undefined,
  },
  aarch64: {
    'bl\t10 <em_norm+0x10>': { kind: 'call', target: 0x10 },
    'blr\tx8': { kind: 'call', target: 'indirect' },
    'br\tx16': { kind: 'jump', target: 'indirect' },
    'b.eq\t64 <sw+0x64>  // b.none': { kind: 'branch', target: 0x64 },
    'tbz\tw0, #3, 0x48 <sw+0x48>': { kind: 'branch', target: 0x48 },
    'cbnz\tw1, 48 <sw+0x48>': { kind: 'branch', target: 0x48 },
    ret: { kind: 'return' },
    'brk\t#0x3e8': { kind: 'stop' },
    'bic\tw0, w0, w1': undefined,
    'bfi\tw0, w1, #4, #4': undefined,
  },
  riscv64: {
    'jal\tra,14 <f+0x14>': { kind: 'call', target: 0x14 },
    'jal\tt0,14 <f+0x14>': { kind: 'call', target: 0x14 },
    'jalr\ta2': { kind: 'call', target: 'indirect' },
    'jalr\tzero,8(a5)': { kind: 'jump', target: 'indirect' },
    'jr\ta5': { kind: 'jump', target: 'indirect' },
    'j\t38 <.LBB7_5+0x2>': { kind: 'jump', target: 0x38 },
    'bltu\ta1,a0,24 <.LBB7_2+0x4>': { kind: 'branch', target: 0x24 },
    'bnez\ta5, 0x3e <f+0x3e>': { kind: 'branch', target: 0x3e },
    ret: { kind: 'return' },
    ebreak: { kind: 'stop' },
    'bset\ta0,a0,a1': undefined,
  },
};

t.test('where instructions lead', async (t) => {
  for (const arch of architectures) {
    for (const [text, transfer] of Object.entries(transfers[arch])) {
      t.same(
        instructionSetOf(arch).transfer(instruction(arch, text), undefined),
        transfer,
        `${arch} ${text}`,
      );
    }
  }
});

t.test('what is no instruction is refused', async (t) => {
  for (const text of ['(bad)', '<unknown>', '.word\t0x00000000']) {
    t.throws(() => instruction('x86_64', text), { code: 'EM3006' }, text);
  }
});
