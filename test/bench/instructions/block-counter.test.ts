/** Counting: exact on a loop whose length is known, on every target whose compiler and emulator are here. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { runTool } from '../../../codegen/compile/run-tool.js';
import { findToolchain } from '../../../codegen/compile/toolchain.js';
import { EmbedError } from '../../../codegen/diagnostics/error.js';
import { findLauncher } from '../../../deploy/local.js';
import { findTarget } from '../../../targets/index.js';
import type { Target } from '../../../targets/target.js';
import { AddressCounts, loopNest } from '../machine-code/loop-nest.js';
import { disassembleProgram } from '../machine-code/program-code.js';
import {
  BlockCounter,
  blockDifference,
  countInstructions,
  endBeforePages,
  parseBlockCounts,
} from './block-counter.js';

const folder = mkdtempSync(join(tmpdir(), 'em-count-'));
t.teardown(() => rmSync(folder, { recursive: true }));

const program = `#include <stdlib.h>
__attribute__((noinline)) static unsigned spin(unsigned rounds)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < rounds; i++) {
        __asm__ volatile("" : "+r"(sum));
        sum += 3;
    }
    return sum;
}
int main(int argc, char **argv) { return argc == 2 && spin((unsigned)atoi(argv[1])) == 0; }
`;

/** Why programs of a target cannot be counted here, as tap takes it for `skip`. */
async function whyNotCounted(target: Target): Promise<string | false> {
  try {
    await findLauncher(target, 'emulator');
    return (await findToolchain(target)).objdump === null ? `${target.name}: no objdump` : false;
  } catch (error) {
    if (error instanceof EmbedError && /^EM3/.test(error.code)) return error.message;
    throw error;
  }
}

const targets = await Promise.all(['x86_64-avx2', 'cortex-a72', 'riscv-u74'].map(findTarget));
const obstacles = await Promise.all(targets.map(whyNotCounted));

t.test('lines of the plugin', async (t) => {
  const blocks = parseBlockCounts('1000 1010 4 3\nffff1000 ffff1004 1 12\n');
  t.same(blocks, [
    { start: 0x1000, end: 0x1010, instructions: 4, runs: 3 },
    { start: 0xffff1000, end: 0xffff1004, instructions: 1, runs: 12 },
  ]);
  t.equal(countInstructions(blocks), 24);
  t.throws(() => parseBlockCounts('1000 1010 4\n'), /no count/);
});

t.test('differences of two runs', async (t) => {
  const block = (start: number, runs: number) => ({ start, end: start + 4, instructions: 1, runs });
  t.same(
    blockDifference([block(0, 5), block(8, 2), block(16, 1)], [block(0, 3), block(8, 2), block(24, 1)]),
    [block(0, 2), block(16, 1), block(24, -1)],
  );
});

t.test('an instruction across pages is counted where it is executed', async (t) => {
  const before = { start: 0xf00, end: 0x1000, instructions: 60, runs: 7 };
  const crossing = { start: 0xfff, end: 0x1004, instructions: 1, runs: 7 };
  const fitting = { start: 0x1f00, end: 0x2000, instructions: 64, runs: 1 };
  t.same(endBeforePages([before, crossing, fitting]), [
    { ...before, end: 0xfff, instructions: 59 },
    crossing,
    fitting,
  ]);
});

for (const [i, target] of targets.entries()) {
  t.test(`counts under the emulator of ${target.name}`, { skip: obstacles[i]! }, async (t) => {
    const toolchain = await findToolchain(target);
    const source = join(folder, 'spin.c');
    const binary = join(folder, target.name);
    writeFileSync(source, program);
    await runTool([...toolchain.command, '-O1', '-static', source, '-o', binary]);
    const counter = await BlockCounter.open(folder);
    // As many digits in each, so that reading them costs the same.
    const less = await counter.count(target, binary, ['2000']);
    const more = await counter.count(target, binary, ['7000']);
    const spin = (await disassembleProgram(toolchain.objdump!, binary)).find((one) => one.name === 'spin')!;
    const difference = blockDifference(more, less);
    const loop = loopNest(spin, new AddressCounts(difference)).find((one) => one.isInnermost)!;
    t.equal(loop.rounds, 5000);
    const { first, last } = loopNest(spin, new AddressCounts(more))[0]!;
    const inSpin = difference.filter(({ start }) => start >= first && start <= last);
    t.equal(countInstructions(inSpin), 5000 * loop.body.length, `${loop.body.length} instructions a round`);
    const elsewhere = countInstructions(more) - countInstructions(less) - countInstructions(inSpin);
    t.ok(Math.abs(elsewhere) < 500, `the rest of the program is the same but for ${elsewhere} of its start`);
    t.ok(loop.body.length >= 2 && loop.body.length <= 6);

    await t.rejects(counter.count(target, join(folder, 'nothing'), []), { code: 'EM3002' });
  });
}
