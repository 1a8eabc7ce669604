/** Which images without an operating system can be asked for. */
import t from 'tap';
import { bareMetalBoards } from '../../../codegen/bare-metal/bare-metal-board.js';
import {
  bareMetalStackBytes,
  checkBareMetalRequest,
  requireBareMetalMemory,
  requireBareMetalStack,
} from '../../../codegen/bare-metal/bare-metal-request.js';
import type { BuildOptions } from '../../../codegen/build-options.js';
import { namedPlans } from '../../../codegen/quantize/plan.js';
import { targets } from '../../../targets/index.js';

const options = (target: string, bareMetal: string | null, singleFile = false): BuildOptions => ({
  ...{ target: targets.find(({ name }) => name === target)!, model: null, out: null, plan: namedPlans.int8! },
  ...{ calibration: null, context: null, toolchain: null, fetch: false, singleFile, tokenizer: true },
  ...{ prompt: null, tokens: 4, threads: 1, run: false, bareMetal },
});

t.test('a board of the architecture of the target', async (t) => {
  t.equal(checkBareMetalRequest(options('riscv-u74', null)), null);
  t.equal(checkBareMetalRequest(options('riscv-u74', 'sifive_u'))?.name, 'sifive_u');
  t.throws(() => checkBareMetalRequest(options('cortex-a72', 'sifive_u')), { code: 'EM5006' });
  t.throws(() => checkBareMetalRequest(options('riscv-u74', 'toaster')), { code: 'EM1202' });
  t.throws(() => checkBareMetalRequest(options('riscv-u74', 'sifive_u', true)), { code: 'EM1202' });
});

t.test('weights and arena fit the memory', async (t) => {
  for (const board of bareMetalBoards) {
    t.doesNotThrow(() => requireBareMetalMemory(board, 100e6, 100e6), board.name);
    t.throws(() => requireBareMetalMemory(board, board.ram.bytes, 0), { code: 'EM5005' }, board.name);
  }
});

t.test('library and program fit the stack', async (t) => {
  t.doesNotThrow(() => requireBareMetalStack(10_000));
  t.throws(() => requireBareMetalStack(bareMetalStackBytes), { code: 'EM5007' });
});
