/** What stands in the way of acceptances here. */
import { EmbedError } from '../../../codegen/diagnostics/error.js';
import { hostTarget } from '../../../codegen/evaluate/host-target.js';
import { targets } from '../../../targets/index.js';
import { cannotRun } from '../../end-to-end/tiny-bundles.js';

/** Why this machine cannot build and run its own programs; false where it can. */
export const obstacle = await hostTarget().then(cannotRun, (error: unknown) => {
  if (error instanceof EmbedError) return error.message;
  throw error;
});

/** A target of another architecture. */
export const foreign = targets.find(
  ({ arch }) => arch !== process.arch.replace('x64', 'x86_64').replace('arm64', 'aarch64'),
)!;

/** The same for programs of both. */
export const uncompiled = obstacle || (await cannotRun(foreign));
