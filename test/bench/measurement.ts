/** What is measured of one bundle. Null: not asked for, or not possible here. */
import type { KernelCycles } from './machine-code/kernel-cycles.js';
import type { Case } from './workspace.js';

export interface Measurement extends Case {
  readonly blobBytes: number;
  readonly bitsPerWeight: number;
  /** Multiplications by a weight that a decoded token takes. */
  readonly macs: number;
  readonly instructions: InstructionFigures | null;
  /** Functions by their share of a decoded token, largest first. */
  readonly profile: readonly FunctionShare[] | null;
  readonly cycles: KernelCycles | null;
  readonly speed: SpeedFigures | null;
}

export interface InstructionFigures {
  readonly decode: number;
  readonly prefill: number;
  readonly cachedPosition: number;
}

export interface FunctionShare {
  readonly function: string;
  readonly instructions: number;
}

/** Of one thread of this machine. */
export interface SpeedFigures {
  readonly decode: { readonly median: number; readonly p5: number; readonly p95: number };
  readonly prefill: number;
  readonly timeToFirstTokenMs: number;
  /** Weights, and keys and values of the mean context, that a decoded token reads. */
  readonly bytesPerToken: number;
  /** What this machine reads at most of a working set of so many bytes. */
  readonly bandwidth: number;
  readonly peakRssBytes: number;
  readonly peakRssLimitBytes: number;
  readonly matchesGolden: boolean;
}

/** One run of the benchmark. */
export interface Benchmark {
  readonly schemaVersion: 1;
  /** Day, as YYYY-MM-DD. */
  readonly date: string;
  readonly command: string;
  readonly machine: MachineFacts;
  readonly bandwidth: readonly { readonly workingSetBytes: number; readonly bytesPerSecond: number }[];
  readonly measurements: readonly Measurement[];
}

export interface MachineFacts {
  readonly cpu: string;
  readonly processors: number;
  readonly system: string;
  readonly kernel: string;
  /** Versions of compilers by target, of the emulator, of llvm-mca. */
  readonly tools: readonly string[];
}
