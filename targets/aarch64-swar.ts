import { cortexA72 } from './cortex-a72.js';
import type { Target } from './target.js';

// The flags of the Cortex-A72 that are not of that core alone.
const abiFlags = ['-mbranch-protection=none', '-mno-outline-atomics'];

/** Every Armv8-A there is, and its kernel mode: the library touches no vector and no floating-point register. */
export const aarch64Swar: Target = {
  ...cortexA72,
  name: 'aarch64-swar',
  aliases: [],
  description: 'any 64-bit Arm, in general registers only: kernel mode without a bracket',
  kernelSet: 'swar',
  toolchains: cortexA72.toolchains.map((candidate) => ({
    ...candidate,
    cpuFlags: [candidate.family === 'zig' ? '-mcpu=generic' : '-march=armv8-a', ...abiFlags],
    tuningFlags: ['-mgeneral-regs-only'],
  })),
  hostFeatures: ['asimd'],
  emulator: { program: 'qemu-aarch64', args: ['-cpu', 'cortex-a53'], package: 'qemu-user' },
  kernelModeVectors: null,
};
