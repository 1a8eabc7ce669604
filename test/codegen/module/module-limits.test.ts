/** What may become a kernel module. */
import t from 'tap';
import type { BuildOptions } from '../../../codegen/build-options.js';
import { checkModuleRequest } from '../../../codegen/module/build-module.js';
import {
  maxLinkedBlobBytes,
  maxModuleBlobBytes,
  requireKernelModeTarget,
  requireModuleSize,
  requireModuleStack,
} from '../../../codegen/module/module-limits.js';
import { namedPlans } from '../../../codegen/quantize/plan.js';
import { targets } from '../../../targets/index.js';
import type { Target } from '../../../targets/target.js';

const named = (name: string): Target => targets.find((target) => target.name === name)!;

const options = (change: Partial<BuildOptions>): BuildOptions => ({
  ...{ target: named('x86_64-swar'), model: null, out: null, plan: namedPlans.int8!, calibration: null },
  ...{ context: null, toolchain: null, fetch: false, singleFile: false, tokenizer: true },
  ...{ prompt: null, tokens: 4, threads: 1, run: false },
  ...change,
});

t.test('100 MB of weights are allowed, a byte more is not', async (t) => {
  t.doesNotThrow(() => requireModuleSize(maxModuleBlobBytes));
  t.throws(() => requireModuleSize(maxModuleBlobBytes + 1), { code: 'EM5001' });
  t.throws(() => requireModuleSize(101e6), { code: 'EM5001', message: /101\.0 MB.*100\.0 MB/s });
});

t.test('weights that are linked into the module have a smaller limit', async (t) => {
  t.doesNotThrow(() => requireModuleSize(maxLinkedBlobBytes, true));
  t.throws(() => requireModuleSize(maxLinkedBlobBytes + 1, true), { code: 'EM5001', message: /single-file/ });
});

t.test('vector registers are used in kernel mode where it is said how', async (t) => {
  for (const target of targets) {
    t.doesNotThrow(() => requireKernelModeTarget(target), target.name);
    const other = target.kernelModeVectors === null ? 'kernel_fpu' : null;
    const wrong: Target = { ...target, kernelModeVectors: other };
    t.throws(() => requireKernelModeTarget(wrong), { code: 'EM5003' }, target.name);
  }
  const target: Target = { ...named('cortex-a72'), kernelModeVectors: 'kernel_fpu' };
  t.throws(() => checkModuleRequest(options({ kernelModule: true, target })), { code: 'EM5003' });
});

t.test('half of a kernel stack is allowed', async (t) => {
  t.doesNotThrow(() => requireModuleStack(8192));
  t.throws(() => requireModuleStack(8208), { code: 'EM5004' });
});

t.test('options that do not go together', async (t) => {
  t.equal(checkModuleRequest(options({})), null);
  t.throws(() => checkModuleRequest(options({ kernelHeaders: '/x' })), { code: 'EM1202' });
  t.match(checkModuleRequest(options({ kernelModule: true, singleFile: true })), { linked: true });
  const missing = options({ kernelModule: true, kernelHeaders: '/nowhere' });
  t.throws(() => checkModuleRequest(missing), { code: 'EM5002' });
});
