/** Where the program of a bundle runs: this machine, its emulator, or a board behind a cable. */
import type { Manifest } from '../codegen/bundle/manifest.js';
import type { LocalMode } from './local.js';
import type { ConditionReading, Conditions } from './session/board-conditions.js';

export interface ProgramOptions {
  /** Milliseconds the program may take in all. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly onStdout: (chunk: Buffer) => void;
  /** Local file for the output of every op (templates/runner/trace.h); null: none. */
  readonly trace: string | null;
}

export interface ProgramEnd {
  /** undefined if a signal ended it. */
  readonly exitCode: number | undefined;
  /** E.g. SIGSEGV. */
  readonly endedBySignal: string | undefined;
  /** The last of what it said. */
  readonly stderr: string;
}

/** As result.json has it. */
export interface MachineDescription {
  readonly name: string | null;
  readonly transport: 'host' | 'emulator' | 'ssh' | 'serial' | null;
  /** Whether an emulator computes: its speed says nothing about a board. */
  readonly emulated: boolean;
  readonly cpu: string | null;
  readonly kernel: string | null;
  /** Clock, heat and power around what was measured; absent where that is not looked at. */
  readonly conditions?: Conditions;
}

export interface Machine {
  /** Runs em-run of a bundle to its end. A program that fails is no error but a result. */
  run(
    bundle: string,
    manifest: Manifest,
    args: readonly string[],
    options: ProgramOptions,
  ): Promise<ProgramEnd>;
  /** What it is; asked after a run. */
  describe(manifest: Manifest): Promise<MachineDescription>;
  /** Clock, heat and power at this moment; absent where that is not looked at. */
  readConditions?(): Promise<ConditionReading>;
}

/** What commands take: a way to run here, or another machine. */
export type Place = LocalMode | Machine;
