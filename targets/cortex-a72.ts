import type { Target } from './target.js';

// Distributions differ in branch protection and in calling libgcc for atomics; generated code must not.
const cpuFlags = ['-mcpu=cortex-a72', '-mbranch-protection=none', '-mno-outline-atomics'];

const binutils = {
  ar: ['aarch64-linux-gnu-ar', 'llvm-ar'],
  objdump: ['aarch64-linux-gnu-objdump', 'llvm-objdump'],
};

/** Armv8-A with NEON and CRC32, without the dot product instructions of later cores. */
export const cortexA72: Target = {
  name: 'cortex-a72',
  aliases: ['a72'],
  description: 'Arm Cortex-A72 (Raspberry Pi 4, RK3399, NXP LX2160A, AWS Graviton 1)',
  triple: 'aarch64-linux-gnu',
  arch: 'aarch64',
  kernelSet: 'neon',
  toolchains: [
    {
      family: 'gcc',
      command: ['aarch64-linux-gnu-gcc'],
      cpuFlags,
      // The first scheduling pass stretches live ranges until the accumulators of a tile spill.
      tuningFlags: ['-fno-schedule-insns', '-ftree-vectorize', '-fvect-cost-model=dynamic'],
      optimization: '-O2',
      binutils,
      packages: ['gcc-aarch64-linux-gnu', 'libc6-dev-arm64-cross'],
    },
    {
      family: 'clang',
      command: ['clang', '--target=aarch64-linux-gnu'],
      cpuFlags,
      tuningFlags: [],
      optimization: '-O2',
      binutils,
      // The cross gcc brings the linker, the start files and libgcc that clang links with.
      packages: ['clang', 'gcc-aarch64-linux-gnu', 'libc6-dev-arm64-cross'],
    },
    {
      family: 'zig',
      command: ['zig', 'cc', '--target=aarch64-linux-musl'],
      // Not every Cortex-A72 has the cryptographic extension: that of the Raspberry Pi 4 is without.
      cpuFlags: ['-mcpu=cortex_a72-aes-sha2', '-mbranch-protection=none', '-mno-outline-atomics'],
      tuningFlags: [],
      optimization: '-O2',
      binutils: null,
      packages: [],
    },
  ],
  hostFeatures: ['asimd', 'crc32'],
  emulator: { program: 'qemu-aarch64', args: ['-cpu', 'cortex-a72'], package: 'qemu-user' },
  cacheBytes: { l1d: 32 * 1024, l2: 1024 * 1024, l3: 0 },
  kernelModeVectors: 'kernel_neon',
};
