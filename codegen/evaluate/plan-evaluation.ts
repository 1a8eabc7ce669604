import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Target } from '../../targets/target.js';
import { readManifest } from '../bundle/manifest.js';
import { expectedToolchain } from '../compile/expected-toolchain.js';
import { plannedModelCompilation } from '../compile/planned-compilation.js';
import type { DryRun, PlannedCommand } from '../dry-run.js';
import { plannedEmission } from '../emit/emit-bundle.js';
import type { StageContext } from '../progress.js';
import { chooseWindows, type EvaluateOptions, readEvaluationText } from './evaluate-bundle.js';
import { shares } from './evaluate-windows.js';
import { hostBuildInput } from './host-build.js';
import { hostTarget } from './host-target.js';
import { openReferenceSource, readReference } from './reference-model.js';
import { evaluationThreads } from './score-on-host.js';
import { windowArguments } from './window-arguments.js';

/**
 * What evaluateBundle would do with the same options; `furtherBuilds` are targets that the model is built for after that. Reads the
 * bundle, and throws what evaluateBundle throws.
 */
export async function planEvaluation(
  bundle: string,
  options: EvaluateOptions,
  context: StageContext,
  furtherBuilds: readonly Target[] = [],
): Promise<DryRun> {
  const manifest = readManifest(bundle);
  const source = openReferenceSource(manifest, options.model);
  try {
    const { ids, window } = chooseWindows(readEvaluationText(options, source), options, manifest, context);
    const target = await hostTarget();
    const { toolchain, commands } = await expectedToolchain(target, { prefer: null, fetch: false });
    const { model } = await readReference(bundle, manifest, source, context);
    const folder = join(tmpdir(), 'embed-model-eval-XXXXXX');
    const emitted = plannedEmission(hostBuildInput(target, source, manifest.plan, model));
    const parts = shares({ ids, window }, Math.min(evaluationThreads(), ids.length / window));
    const runs = parts.map((part) => ({
      command: [
        join(folder, 'bin', 'em-run'),
        ...windowArguments({
          ...part,
          window,
          blob: join(folder, 'model.blob'),
          idsFile: join(folder, 'ids'),
        }),
      ],
      cwd: null,
    }));
    const further: PlannedCommand[] = [];
    for (const one of furtherBuilds) {
      const expected = await expectedToolchain(one, { prefer: null, fetch: false });
      const names = [...plannedEmission(hostBuildInput(one, source, manifest.plan, model)).keys()];
      further.push(...expected.commands, ...plannedModelCompilation(folder, names, one, expected.toolchain));
    }
    return {
      files: [{ path: join(bundle, 'report', 'validation_report.json'), bytes: null }],
      commands: [
        ...commands,
        ...plannedModelCompilation(folder, [...emitted.keys()], target, toolchain),
        ...runs,
        ...further,
      ],
      notes: [`${folder} is removed at the end. The runs go at the same time.`],
    };
  } finally {
    source.checkpoint.close();
  }
}
