import { join } from 'node:path';
import { readHostCpu, whyNotNative } from '../../deploy/host-cpu.js';
import { readManifest } from '../bundle/manifest.js';
import type { DryRun } from '../dry-run.js';
import { acceptanceFiles } from './acceptance-files.js';

/** What an acceptance does besides the evaluation `planned`. */
export async function planAcceptance(bundle: string, planned: DryRun): Promise<DryRun> {
  const { targetSpec } = readManifest(bundle);
  const obstacle = whyNotNative(targetSpec, await readHostCpu());
  const speed =
    obstacle === undefined
      ? 'The model is built once more with 16-bit weights, and both builds run in turn.'
      : `Speed is not judged: ${obstacle}.`;
  return {
    files: acceptanceFiles.map((name) => ({ path: join(bundle, 'report', name), bytes: null })),
    commands: planned.commands,
    notes: [...planned.notes, 'Then em-run goes on from every prompt.', speed],
  };
}
