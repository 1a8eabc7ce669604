import { join } from 'node:path';
import type { Target } from '../../targets/target.js';
import { type Manifest, readManifest } from '../bundle/manifest.js';
import type { ModelSource } from '../checkpoint/model-source.js';
import type { DryRun, PlannedCommand } from '../dry-run.js';
import type { StageContext } from '../progress.js';
import { chooseWindows, type EvaluateOptions, readEvaluationText } from './evaluate-bundle.js';
import { shares } from './evaluate-windows.js';
import { hostTarget } from './host-target.js';
import { plannedHostBuild, plannedHostFolder } from './planned-host-build.js';
import { openReferenceSource, readReference } from './reference-model.js';
import { evaluationThreads } from './score-on-host.js';
import { windowArguments } from './window-arguments.js';

/** What an evaluation is followed by. */
export interface PlannedSequel {
  /** Reads what else was given, and throws where it cannot be used. */
  readonly read: (source: ModelSource, manifest: Manifest) => void;
  /** Targets that the model is built for after the evaluation. */
  readonly builds: readonly Target[];
}

const nothing: PlannedSequel = { read: () => {}, builds: [] };

/** What evaluateBundle would do with the same options. Reads the bundle, and throws what evaluateBundle and `sequel` throw. */
export async function planEvaluation(
  bundle: string,
  options: EvaluateOptions,
  context: StageContext,
  sequel: PlannedSequel = nothing,
): Promise<DryRun> {
  const manifest = readManifest(bundle);
  const source = openReferenceSource(manifest, options.model);
  try {
    const { ids, window } = chooseWindows(readEvaluationText(options, source), options, manifest, context);
    sequel.read(source, manifest);
    const target = await hostTarget();
    const { model } = await readReference(bundle, manifest, source, context);
    const builtFor = (one: Target) => plannedHostBuild({ target: one }, source, manifest.plan, model);
    const folder = plannedHostFolder();
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
    for (const one of sequel.builds) further.push(...(await builtFor(one)));
    return {
      files: [{ path: join(bundle, 'report', 'validation_report.json'), bytes: null }],
      commands: [...(await builtFor(target)), ...runs, ...further],
      notes: [`${folder} is removed at the end. The runs go at the same time.`],
    };
  } finally {
    source.checkpoint.close();
  }
}
