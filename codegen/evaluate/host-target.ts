import { readHostCpu, whyNotNative } from '../../deploy/host-cpu.js';
import { targets } from '../../targets/index.js';
import type { Target } from '../../targets/target.js';
import { EmbedError } from '../diagnostics/error.js';

/**
 * The first built-in target whose programs this machine runs by itself: all targets of a plan have the same logits. Throws EM3201
 * where there is none.
 */
export async function hostTarget(): Promise<Target> {
  const host = await readHostCpu();
  const target = targets.find((candidate) => whyNotNative(candidate, host) === undefined);
  if (target !== undefined) return target;
  const nearest = targets.find(({ arch }) => arch === host.arch) ?? targets[0]!;
  throw new EmbedError('EM3201', {
    where: 'evaluation',
    why: `it needs a target that this machine runs by itself: ${whyNotNative(nearest, host)}`,
    fix: 'evaluate on an x86_64 machine with AVX2, or on a board that is one of the targets',
  });
}
