/** Disassembly to loops to cycles. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { cores } from './cores.js';
import { kernelCycles } from './kernel-cycles.js';
import { AddressCounts, loopNest } from './loop-nest.js';
import { assemblyOf, PipelineModel } from './pipeline-model.js';
import { parseProgram, reachableFunctions } from './program-code.js';

const folder = mkdtempSync(join(tmpdir(), 'em-mca-'));
t.teardown(() => rmSync(folder, { recursive: true }));
const pipelines = await PipelineModel.open(folder);

/** As GNU objdump -d --no-show-raw-insn prints it. */
const listing = `
em-run:     file format elf64-x86-64

Disassembly of section .text:

0000000000001000 <em_linear_task>:
    1000:\tpush   %rbx
    1001:\tcall   1100 <em_sum_w4>
    1006:\tpop    %rbx
    1007:\tret

0000000000001100 <em_sum_w4>:
    1100:\txor    %eax,%eax
    1102:\tlea    0x10(%rip),%rdx        # 1120 <table>
    1110:\tadd    $0x1,%eax
    1113:\timul   %rcx,%rcx
    1117:\tcmp    %eax,%esi
    1119:\tjne    1110 <em_sum_w4+0x10>
    111b:\tdec    %edi
    111d:\tjne    1102 <em_sum_w4+0x2>
    111f:\tret

0000000000001200 <em_other>:
    1200:\tret
`;

/** Two calls, each with 10 rounds of the outer loop and 100 of the inner. */
const blocks = [
  { start: 0x1000, end: 0x1006, instructions: 2, runs: 2 },
  { start: 0x1006, end: 0x1008, instructions: 2, runs: 2 },
  { start: 0x1100, end: 0x111b, instructions: 6, runs: 2 },
  { start: 0x1102, end: 0x111b, instructions: 5, runs: 18 },
  { start: 0x1110, end: 0x111b, instructions: 4, runs: 180 },
  { start: 0x111b, end: 0x111f, instructions: 2, runs: 20 },
  { start: 0x111f, end: 0x1120, instructions: 1, runs: 2 },
];

t.test('listings of three instruction sets', async (t) => {
  const program = parseProgram(listing);
  t.same(
    program.map(({ name, lines }) => [name, lines.length]),
    [
      ['em_linear_task', 4],
      ['em_sum_w4', 9],
      ['em_other', 1],
    ],
  );
  t.match(program[0]!.lines, [
    { destination: null },
    { destination: 0x1100, isCall: true },
    {},
    { isReturn: true },
  ]);
  t.match(program[1]!.lines[1], { text: 'lea    0x10(%rip),%rdx', destination: null });
  t.match(program[1]!.lines[5], { text: 'jne    1110', destination: 0x1110, isCall: false });
  const others = parseProgram(
    [
      '0000000000000000 <f>:',
      '   0:\tcmp\tx2, #0x10',
      '   4:\tb.ne\t0x0 <f>  // b.any',
      '   8:\tbnez\ta5,4 <f+0x4>',
      '   c:\tjal\tra,0 <f>',
    ].join('\n'),
  )[0]!.lines;
  t.same(
    others.map(({ text, destination, isCall }) => [text, destination, isCall]),
    [
      ['cmp x2, #0x10', null, false],
      ['b.ne 0x0', 0, false],
      ['bnez a5,4', 4, false],
      ['jal ra,0', 0, true],
    ],
  );
});

t.test('what a function calls', async (t) => {
  const names = (root: string) => reachableFunctions(parseProgram(listing), root).map(({ name }) => name);
  t.same(names('em_linear_task'), ['em_linear_task', 'em_sum_w4']);
  t.same(names('em_other'), ['em_other']);
  t.same(names('em_nothing'), []);
});

t.test('loops, and how often they ran', async (t) => {
  const counts = new AddressCounts(blocks);
  t.same(
    [0x1000, 0x1100, 0x1102, 0x1110, 0x111b, 0x1200].map((at) => counts.at(at)),
    [2, 2, 20, 200, 20, 0],
  );
  const loops = loopNest(parseProgram(listing)[1]!, counts);
  t.same(
    loops.map(({ first, last, depth, isInnermost, rounds, body }) => [
      first,
      last,
      depth,
      isInnermost,
      rounds,
      body.length,
    ]),
    [
      [0x1100, 0x111f, 0, false, 2, 1],
      [0x1110, 0x1119, 2, true, 200, 4],
      [0x1102, 0x111d, 1, false, 20, 3],
    ],
    'of the function itself the return is left out',
  );
  t.same(loopNest(parseProgram(listing)[2]!, counts), [], 'what never ran has no loops');
});

t.test('assembly for llvm-mca', async (t) => {
  const [, inner] = loopNest(parseProgram(listing)[1]!, new AddressCounts(blocks));
  t.equal(
    assemblyOf([inner!.body.slice(2)]),
    '# LLVM-MCA-BEGIN body0\n.Lbody0:\ncmp    %eax,%esi\njne    .Lbody0\n# LLVM-MCA-END\n',
  );
});

t.test('cycles', { skip: pipelines === null && 'llvm-mca is not installed' }, async (t) => {
  const skylake = cores['x86_64-avx2']!;
  const program = parseProgram(listing);
  const [, inner] = loopNest(program[1]!, new AddressCounts(blocks));
  const [cycles] = await pipelines!.cyclesPerRound(skylake, [inner!.body]);
  t.ok(cycles! >= 3 && cycles! < 3.2, `a chain of multiplications of three cycles each: ${cycles}`);

  const found = await kernelCycles(pipelines!, skylake, program, blocks, 400);
  t.match(found, { cpu: 'skylake', function: 'em_sum_w4', innerLoop: { instructions: 4, cycles } });
  t.ok(Math.abs(found!.innerCyclesPerMac - (200 * cycles!) / 400) < 1e-9);
  t.ok(found!.functionCyclesPerMac > found!.innerCyclesPerMac);
  t.ok(found!.cyclesPerMac >= found!.functionCyclesPerMac);
  t.equal(await kernelCycles(pipelines!, skylake, parseProgram(''), blocks, 400), null);

  for (const [target, text] of [
    ['cortex-a72', 'mul x0, x0, x1'],
    ['riscv-u74', 'mul a0,a0,a1'],
  ] as const) {
    const line = { address: 0, text, mnemonic: 'mul', destination: null, isCall: false, isReturn: false };
    const [one, two] = await pipelines!.cyclesPerRound(cores[target]!, [[line], [line, line]]);
    t.ok(one! > 2 && Math.abs(two! / one! - 2) < 0.1, `${target}: ${one}, ${two}`);
  }
  await t.rejects(pipelines!.cyclesPerRound(skylake, [[{ ...inner!.body[0]!, text: 'no instruction' }]]), {
    code: 'EM3002',
  });
});
