import type { Target } from './target.js';

const binutils = {
  ar: ['riscv64-linux-gnu-ar', 'llvm-ar'],
  objdump: ['riscv64-linux-gnu-objdump', 'llvm-objdump'],
};

// Without a small data section: it is writable, and compilers put constants there.
const cpuFlags = ['-march=rv64gc', '-mabi=lp64d', '-mtune=sifive-7-series', '-msmall-data-limit=0'];

/**
 * Plain rv64gc: runs on every 64-bit RISC-V board with Linux. No vector unit, hence nothing to bracket in
 * kernel mode.
 */
export const riscvU74: Target = {
  name: 'riscv-u74',
  aliases: ['u74'],
  description: 'SiFive U74 (VisionFive 2, Star64, HiFive Unmatched), plain rv64gc',
  triple: 'riscv64-linux-gnu',
  arch: 'riscv64',
  kernelSet: 'swar',
  toolchains: [
    {
      family: 'gcc',
      command: ['riscv64-linux-gnu-gcc'],
      // A misaligned access traps and is emulated by the firmware.
      cpuFlags: [...cpuFlags, '-mstrict-align'],
      // In-order, dual issue: operands of a multiplication should be three cycles old. The second algorithm for
      // register pressure fills these gaps; the first, gcc's default, takes 30 % more cycles for the kernels.
      tuningFlags: ['-fschedule-insns', '-fsched-pressure', '--param=sched-pressure-algorithm=2'],
      optimization: '-O2',
      binutils,
      packages: ['gcc-riscv64-linux-gnu', 'libc6-dev-riscv64-cross'],
    },
    {
      family: 'clang',
      command: ['clang', '--target=riscv64-linux-gnu'],
      cpuFlags,
      tuningFlags: [],
      optimization: '-O2',
      binutils,
      // The cross gcc brings the linker, the start files and libgcc that clang links with.
      packages: ['clang', 'gcc-riscv64-linux-gnu', 'libc6-dev-riscv64-cross'],
    },
    {
      family: 'zig',
      command: ['zig', 'cc', '--target=riscv64-linux-musl'],
      // LLVM's sifive-u74 is rv64gc and its schedule, without Zba and Zbb.
      cpuFlags: ['-mcpu=sifive_u74', '-mabi=lp64d', '-msmall-data-limit=0'],
      tuningFlags: [],
      optimization: '-O2',
      binutils: null,
      packages: [],
    },
  ],
  hostFeatures: ['i', 'm', 'a', 'f', 'd', 'c'],
  // An older sibling without Zba and Zbb: an instruction that rv64gc does not have stops the program.
  emulator: { program: 'qemu-riscv64', args: ['-cpu', 'sifive-u54'], package: 'qemu-user' },
  cacheBytes: { l1d: 32 * 1024, l2: 2 * 1024 * 1024, l3: 0 },
  kernelModeVectors: null,
};
