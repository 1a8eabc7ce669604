import type { Target } from './target.js';

// Distributions switch on control-flow markers by default; generated code must not depend on the
// distribution. Without the red zone a frame is what the stack pointer says, and the same objects are fit for
// kernel mode.
// As fast as -O3 here and half its code: no peeling and unrolling of every loop. clang unrolls at -O2 already;
// where a kernel wants it, it says so. What is jumped to is aligned where it is a loop only.
const vectorize = [
  ...['-ftree-vectorize', '-fvect-cost-model=dynamic', '--param=vect-epilogues-nomask=0'],
  '-falign-jumps=1',
];
const cpuFlags = ['-march=x86-64-v3', '-mtune=haswell', '-mno-red-zone', '-fcf-protection=none'];

const binutils = {
  ar: ['x86_64-linux-gnu-ar', 'ar', 'llvm-ar'],
  objdump: ['x86_64-linux-gnu-objdump', 'objdump', 'llvm-objdump'],
};

/** Intel from Haswell (2013), AMD from Zen: the x86-64-v3 level of the psABI. No VNNI, no AVX-512. */
export const x86_64Avx2: Target = {
  name: 'x86_64-avx2',
  aliases: ['avx2', 'x86_64'],
  description: 'x86-64 PC or server with AVX2 (Intel Haswell, AMD Zen and later)',
  triple: 'x86_64-linux-gnu',
  arch: 'x86_64',
  kernelSet: 'avx2',
  toolchains: [
    {
      family: 'gcc',
      command: ['x86_64-linux-gnu-gcc'],
      cpuFlags,
      tuningFlags: vectorize,
      optimization: '-O2',
      binutils,
      packages: ['gcc', 'libc6-dev'],
    },
    {
      // On an x86-64 machine whose compiler has no longer name; elsewhere it is refused, for it makes other
      // code.
      family: 'gcc',
      command: ['gcc'],
      cpuFlags,
      tuningFlags: vectorize,
      optimization: '-O2',
      binutils,
      packages: ['gcc', 'libc6-dev'],
    },
    {
      family: 'clang',
      command: ['clang', '--target=x86_64-linux-gnu'],
      cpuFlags,
      tuningFlags: ['-fno-unroll-loops'],
      optimization: '-O2',
      binutils,
      packages: ['clang', 'binutils', 'libc6-dev'],
    },
    {
      family: 'zig',
      command: ['zig', 'cc', '--target=x86_64-linux-musl'],
      cpuFlags: ['-mcpu=x86_64_v3', '-mtune=haswell', '-mno-red-zone', '-fcf-protection=none'],
      tuningFlags: [],
      optimization: '-O2',
      binutils: null,
      packages: [],
    },
  ],
  hostFeatures: ['avx', 'avx2', 'bmi1', 'bmi2', 'f16c', 'fma', 'abm', 'movbe'],
  emulator: { program: 'qemu-x86_64', args: ['-cpu', 'max'], package: 'qemu-user' },
  cacheBytes: { l1d: 32 * 1024, l2: 256 * 1024, l3: 8 * 1024 * 1024 },
  kernelModeVectors: 'kernel_fpu',
};
