import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { readHostCpu, whyNotNative } from '../../deploy/host-cpu.js';
import { readManifest } from '../bundle/manifest.js';
import type { DryRun } from '../dry-run.js';
import type { EvaluateOptions } from '../evaluate/evaluate-bundle.js';
import { hostTarget } from '../evaluate/host-target.js';
import { planEvaluation } from '../evaluate/plan-evaluation.js';
import type { StageContext } from '../progress.js';
import { acceptanceFiles } from './acceptance-files.js';

/** What acceptBundle would do with the same options. Reads the bundle, and throws what evaluateBundle throws. */
export async function planAcceptance(
  bundle: string,
  options: EvaluateOptions,
  context: StageContext,
): Promise<DryRun> {
  const { targetSpec } = readManifest(bundle);
  const obstacle = whyNotNative(targetSpec, await readHostCpu());
  // Its own weights need no build of their own where the evaluation made one already.
  const isBuilt = isDeepStrictEqual(targetSpec, await hostTarget());
  const builds = obstacle !== undefined ? [] : isBuilt ? [targetSpec] : [targetSpec, targetSpec];
  const planned = await planEvaluation(bundle, options, context, builds);
  return {
    files: acceptanceFiles.map((name) => ({ path: join(bundle, 'report', name), bytes: null })),
    commands: planned.commands,
    notes: [
      ...planned.notes,
      'em-run goes on from every prompt, and solves every item of the task.',
      obstacle === undefined
        ? 'The last builds, one of them with 16-bit weights, have a temporary folder each and run in turn.'
        : `Speed is not judged: ${obstacle}.`,
    ],
  };
}
