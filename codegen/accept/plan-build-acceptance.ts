import { readHostCpu, whyNotNative } from '../../deploy/host-cpu.js';
import type { Target } from '../../targets/target.js';
import type { ModelSource } from '../checkpoint/model-source.js';
import type { Toolchain } from '../compile/toolchain.js';
import { EmbedError } from '../diagnostics/error.js';
import type { DryRun } from '../dry-run.js';
import type { BuildMachine } from '../evaluate/host-build.js';
import { hostTarget } from '../evaluate/host-target.js';
import { plannedHostBuild } from '../evaluate/planned-host-build.js';
import type { IntegerModel } from '../lower/lower.js';
import type { Plan } from '../quantize/plan.js';
import { chooseProgram } from './accept-build.js';
import { ACCEPTANCE_RUNS, speedNote } from './plan-acceptance.js';

export interface PlannedModel {
  readonly target: Target;
  readonly toolchain: Toolchain;
  readonly singleFile: boolean;
  readonly source: ModelSource;
  readonly plan: Plan;
  readonly model: IntegerModel;
}

/** What acceptBuild would start besides em-run. Throws what emitting throws. */
export async function planBuildAcceptance({
  target,
  toolchain,
  singleFile,
  source,
  plan,
  model,
}: PlannedModel): Promise<Pick<DryRun, 'commands' | 'notes'>> {
  const choice = await chooseProgram(target, singleFile);
  try {
    const own: BuildMachine =
      choice === 'for this machine' ? { target: await hostTarget() } : { target, toolchain };
    const build = await plannedHostBuild(own, source, plan, model);
    return {
      commands: choice === 'for the target' ? [...build, ...build] : build,
      notes: [ACCEPTANCE_RUNS, speedNote(whyNotNative(target, await readHostCpu()))],
    };
  } catch (error) {
    if (!(error instanceof EmbedError && error.code.startsWith('EM3'))) throw error;
    return { commands: [], notes: [`Of the gates, size alone is judged: ${error.why}.`] };
  }
}
