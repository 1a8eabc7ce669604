import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { readHostCpu, whyNotNative } from '../../deploy/host-cpu.js';
import { readManifest } from '../bundle/manifest.js';
import type { DryRun } from '../dry-run.js';
import { hostTarget } from '../evaluate/host-target.js';
import { type PlannedSequel, planEvaluation } from '../evaluate/plan-evaluation.js';
import type { StageContext } from '../progress.js';
import type { AcceptOptions } from './accept-bundle.js';
import { acceptanceFiles } from './acceptance-files.js';
import { readAcceptanceFiles } from './acceptance-request.js';

/** What em-run is started for. */
export const ACCEPTANCE_RUNS = 'em-run goes on from every prompt, and solves every item of the task.';

/** How speed is judged. `obstacle`: why this machine does not run programs of the target by itself. */
export const speedNote = (obstacle: string | undefined) =>
  obstacle === undefined
    ? 'The last build has 16-bit weights and runs in turn with one that has the weights of the bundle.'
    : `Speed is not judged: ${obstacle}.`;

/** What acceptBundle would do with the same options. Reads the bundle and files, and throws what acceptBundle throws. */
export async function planAcceptance(
  bundle: string,
  options: AcceptOptions,
  context: StageContext,
): Promise<DryRun> {
  const { targetSpec } = readManifest(bundle);
  const obstacle = whyNotNative(targetSpec, await readHostCpu());
  // Its own weights need no build of their own where the evaluation made one already.
  const isBuilt = isDeepStrictEqual(targetSpec, await hostTarget());
  const builds = obstacle !== undefined ? [] : isBuilt ? [targetSpec] : [targetSpec, targetSpec];
  const read: PlannedSequel['read'] = ({ tokenizer }, manifest) =>
    readAcceptanceFiles(options, tokenizer, manifest.context);
  const planned = await planEvaluation(bundle, options, context, { read, builds });
  return {
    files: acceptanceFiles.map((name) => ({ path: join(bundle, 'report', name), bytes: null })),
    commands: planned.commands,
    notes: [...planned.notes, ACCEPTANCE_RUNS, speedNote(obstacle)],
  };
}
