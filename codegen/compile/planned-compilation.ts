import type { Target } from '../../targets/target.js';
import type { PlannedCommand } from '../dry-run.js';
import { plannedCompilation } from './compile.js';
import { disassemblyCommand } from './disassembly.js';
import { modelCompilation, objectsTemplate } from './model-library.js';
import type { Toolchain } from './toolchain.js';

/** The commands of compileModel for the files of a bundle, given by their paths with slashes. */
export function plannedModelCompilation(
  bundle: string,
  names: readonly string[],
  target: Target,
  toolchain: Toolchain,
): PlannedCommand[] {
  const { library, runner } = modelCompilation(bundle, names, target, toolchain, objectsTemplate());
  const { objects, libraryCommands, runnerCommands } = plannedCompilation(library, runner);
  const { objdump } = toolchain;
  // Without a disassembler the audit reads the listings that the compiler left.
  const audit =
    objdump === null
      ? []
      : objects.map(({ object }) => ({ command: disassemblyCommand(objdump, object), cwd: null }));
  return [...libraryCommands, ...audit, ...runnerCommands];
}
