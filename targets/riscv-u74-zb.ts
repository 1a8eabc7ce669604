import { riscvU74 } from './riscv-u74.js';
import type { Target } from './target.js';

/** The U74 of StarFive's JH7110, which has address generation (Zba) and basic bit manipulation (Zbb). */
export const riscvU74Zb: Target = {
  ...riscvU74,
  name: 'riscv-u74-zb',
  aliases: ['u74-zb', 'jh7110'],
  description: 'SiFive U74 with Zba and Zbb (StarFive JH7110: VisionFive 2, Star64, Milk-V Mars)',
  // The last -march counts, and so does the last -mcpu of zig.
  toolchains: riscvU74.toolchains.map((candidate) => ({
    ...candidate,
    cpuFlags: [
      ...candidate.cpuFlags,
      candidate.family === 'zig' ? '-mcpu=sifive_u74+zba+zbb' : '-march=rv64gc_zba_zbb',
    ],
  })),
  hostFeatures: [...riscvU74.hostFeatures, 'zba', 'zbb'],
  emulator: {
    program: 'qemu-riscv64',
    args: ['-cpu', 'rv64,zba=true,zbb=true,zbc=false,zbs=false'],
    package: 'qemu-user',
  },
};
