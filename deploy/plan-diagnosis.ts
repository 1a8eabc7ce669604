/** What doctor and targets would start: questions to compilers and emulators. */
import { expectedToolchain } from '../codegen/compile/expected-toolchain.js';
import { findProgram } from '../codegen/compile/find-program.js';
import { cachedZig } from '../codegen/compile/zig-cache.js';
import { EmbedError } from '../codegen/diagnostics/error.js';
import type { DryRun, PlannedCommand } from '../codegen/dry-run.js';
import { targets } from '../targets/index.js';
import type { Target } from '../targets/target.js';

/** Of `targets`: the compiler of each target. */
export async function planTargets(): Promise<DryRun> {
  const asked = await Promise.all(targets.map((target) => questions(target, null)));
  return { files: [], commands: asked.flat(), notes: [] };
}

/** Of `doctor`: all installed compilers of each target, zig, the emulators. */
export async function planDiagnosis(): Promise<DryRun> {
  const compilers = targets.flatMap((target) =>
    [...new Set(target.toolchains.map(({ family }) => family))]
      .filter((family) => family !== 'zig')
      .map((family) => questions(target, family)),
  );
  const zig = (await findProgram('zig')) ?? (await cachedZig());
  const names = new Set(targets.flatMap(({ emulator }) => (emulator === null ? [] : [emulator.program])));
  const emulators = await Promise.all([...names].map((name) => findProgram(name)));
  const version = (program: string | undefined, word: string) =>
    program === undefined ? [] : [{ command: [program, word], cwd: null }];
  return {
    files: [],
    commands: [
      ...(await Promise.all(compilers)).flat(),
      ...version(zig, 'version'),
      ...emulators.flatMap((program) => version(program, '--version')),
    ],
    notes: [],
  };
}

async function questions(target: Target, prefer: string | null): Promise<readonly PlannedCommand[]> {
  try {
    return (await expectedToolchain(target, { prefer, fetch: false })).commands;
  } catch (error) {
    if (error instanceof EmbedError) return [];
    throw error;
  }
}
