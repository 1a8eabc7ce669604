/** What embed-model has to know about a machine, as plain data: one object literal a file in this folder. */

export type Architecture = 'x86_64' | 'aarch64' | 'riscv64';

export const architectures: readonly Architecture[] = ['x86_64', 'aarch64', 'riscv64'];

/** Sets of kernels there are under templates/kernels/. */
export const kernelSets = ['portable', 'avx2', 'swar', 'neon'] as const;
export type KernelSet = (typeof kernelSets)[number];

/** Families of compilers that take the same flags. */
export const compilerFamilies = ['gcc', 'clang', 'zig'] as const;
export type CompilerFamily = (typeof compilerFamilies)[number];

/** What vector instructions must stand between in kernel mode; null where the target's kernels use none. */
export const vectorBrackets = ['kernel_fpu', 'kernel_neon'] as const;
export type VectorBracket = (typeof vectorBrackets)[number];

/** One way to compile for a target. A target lists several; the first whose programs exist is used. */
export interface ToolchainCandidate {
  readonly family: CompilerFamily;
  /** Program, looked up in PATH, and the arguments that make it a compiler for the target's triple. */
  readonly command: readonly string[];
  /** Instruction set, ABI and tuning: -march, -mabi, -mcpu, -mtune and their like. */
  readonly cpuFlags: readonly string[];
  /** Scheduling and vectorization, where the compiler's default is not the best for this core. */
  readonly tuningFlags: readonly string[];
  readonly optimization: '-O2' | '-O3';
  /**
   * Archiver and disassembler: names in order of preference, looked up in PATH. null for zig, which has an
   * archiver and no disassembler: its code is audited on the assembly listings it is assembled from.
   */
  readonly binutils: { readonly ar: readonly string[]; readonly objdump: readonly string[] } | null;
  /** Debian packages that bring all of the above, and a C library for the hosted runner. Empty for zig: it is all of it. */
  readonly packages: readonly string[];
}

/** A user-mode emulator that runs the target's static Linux programs. */
export interface Emulator {
  /** Looked up in PATH. */
  readonly program: string;
  /** Stand before the program to run. They choose a CPU with no more than the target promises. */
  readonly args: readonly string[];
  /** Debian package that brings the program. */
  readonly package: string;
}

export interface Target {
  /** What --target takes. Lower case, digits, '-' and '_'. */
  readonly name: string;
  /** Shorter names --target takes as well. */
  readonly aliases: readonly string[];
  /** One line: the core, the boards it is on, what the code may use. */
  readonly description: string;
  /** GNU triple of the code that is made. */
  readonly triple: string;
  readonly arch: Architecture;
  /** Which kernels and weight layouts the emitter takes. */
  readonly kernelSet: KernelSet;
  /** In order of preference; at least one. */
  readonly toolchains: readonly ToolchainCandidate[];
  /**
   * CPU features, named as in /proc/cpuinfo ('flags', 'Features', or the letters and extensions of 'isa'),
   * without which the program would stop on an illegal instruction. Checked before anything is run on the
   * host.
   */
  readonly hostFeatures: readonly string[];
  /** null where there is none. */
  readonly emulator: Emulator | null;
  /**
   * Data caches in bytes as one core sees them, 0 where there is none. Typical of the class, used to choose
   * tile sizes.
   */
  readonly cacheBytes: { readonly l1d: number; readonly l2: number; readonly l3: number };
  readonly kernelModeVectors: VectorBracket | null;
}
