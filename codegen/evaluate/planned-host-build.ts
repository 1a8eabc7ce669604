import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ModelSource } from '../checkpoint/model-source.js';
import { expectedToolchain } from '../compile/expected-toolchain.js';
import { plannedModelCompilation } from '../compile/planned-compilation.js';
import type { PlannedCommand } from '../dry-run.js';
import { plannedEmission } from '../emit/emit-bundle.js';
import type { IntegerModel } from '../lower/lower.js';
import type { Plan } from '../quantize/plan.js';
import { type BuildMachine, hostBuildInput } from './host-build.js';

/** Where withHostBuild makes its folder. */
export const plannedHostFolder = () => join(tmpdir(), 'embed-model-eval-XXXXXX');

/** What withHostBuild starts. The weights of `model` do not matter, only its shapes. Throws EM3001, EM3004. */
export async function plannedHostBuild(
  { target, toolchain }: BuildMachine,
  source: ModelSource,
  plan: Plan,
  model: IntegerModel,
): Promise<PlannedCommand[]> {
  const expected =
    toolchain === undefined
      ? await expectedToolchain(target, { prefer: null, fetch: false })
      : { toolchain, commands: [] };
  const names = [...plannedEmission(hostBuildInput(target, source, plan, model)).keys()];
  return [
    ...expected.commands,
    ...plannedModelCompilation(plannedHostFolder(), names, target, expected.toolchain),
  ];
}
