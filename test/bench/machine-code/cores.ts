/** The cores whose pipelines llvm-mca knows, by target. */

export interface Core {
  readonly triple: string;
  readonly cpu: string;
}

/** A Skylake stands for the AVX2 machines: the oldest of them that is still common. */
const skylake = { triple: 'x86_64-linux-gnu', cpu: 'skylake' };
const u74 = { triple: 'riscv64-linux-gnu', cpu: 'sifive-u74' };

export const cores: Readonly<Record<string, Core>> = {
  'x86_64-avx2': skylake,
  'cortex-a72': { triple: 'aarch64-linux-gnu', cpu: 'cortex-a72' },
  'riscv-u74': u74,
  'riscv-u74-zb': u74,
};
