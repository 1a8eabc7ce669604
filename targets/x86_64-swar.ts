import type { Target } from './target.js';
import { x86_64Avx2 } from './x86_64-avx2.js';

const cpuFlags = ['-march=x86-64', '-mtune=generic', '-mno-red-zone', '-fcf-protection=none'];

/** Every x86-64 there is, and its kernel mode: the library touches no vector and no floating-point register. */
export const x86_64Swar: Target = {
  ...x86_64Avx2,
  name: 'x86_64-swar',
  aliases: [],
  description: 'any x86-64, in general registers only: no vector unit, or kernel mode without a bracket',
  kernelSet: 'swar',
  toolchains: x86_64Avx2.toolchains.map((candidate) => ({
    ...candidate,
    cpuFlags:
      candidate.family === 'zig' ? ['-mcpu=x86_64', '-mno-red-zone', '-fcf-protection=none'] : cpuFlags,
    tuningFlags: ['-mgeneral-regs-only'],
  })),
  hostFeatures: ['sse2'],
  emulator: { program: 'qemu-x86_64', args: ['-cpu', 'qemu64'], package: 'qemu-user' },
  kernelModeVectors: null,
};
