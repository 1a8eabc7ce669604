import { readHostCpu, whyNotNative } from '../../deploy/host-cpu.js';
import { targets } from '../../targets/index.js';
import type { Target } from '../../targets/target.js';
import { EmbedError } from '../diagnostics/error.js';

/** A target whose programs this machine runs by itself: `preferred` where it can. Throws EM3201 where there is none. */
export async function hostTarget(preferred: Target): Promise<Target> {
  const host = await readHostCpu();
  const candidates = [preferred, ...targets];
  const target = candidates.find((candidate) => whyNotNative(candidate, host) === undefined);
  if (target !== undefined) return target;
  const sameArch = targets.find(({ arch }) => arch === host.arch) ?? targets[0]!;
  throw new EmbedError('EM3201', {
    where: 'evaluation',
    why: `it needs a target that this machine runs by itself: ${whyNotNative(sameArch, host)}`,
    fix: 'evaluate on an x86_64 machine with AVX2, or on a board that is one of the targets',
  });
}
