/** The table of targets, and the way from what a user types to one of them. */
import { EmbedError } from '../codegen/diagnostics/error.js';
import { nearestName } from '../codegen/diagnostics/nearest-name.js';
import { aarch64Swar } from './aarch64-swar.js';
import { cortexA72 } from './cortex-a72.js';
import { loadTarget } from './load-target.js';
import { riscvU74 } from './riscv-u74.js';
import { riscvU74Zb } from './riscv-u74-zb.js';
import type { Target } from './target.js';
import { x86_64Avx2 } from './x86_64-avx2.js';
import { x86_64Swar } from './x86_64-swar.js';

export const targets: readonly Target[] = [
  x86_64Avx2,
  cortexA72,
  riscvU74,
  riscvU74Zb,
  x86_64Swar,
  aarch64Swar,
];

/** A file of the user's own: anything with a separator in it, or named like a program or a JSON file. */
const looksLikeAFile = (nameOrPath: string): boolean => /[/\\]|\.(?:ts|js|mjs|json)$/.test(nameOrPath);

/**
 * The target of that name or alias, or the one described by the file at that path (see loadTarget).
 * Throws EM1203 for an unknown name, EM1205 for a file that does not describe a target.
 */
export async function findTarget(nameOrPath: string): Promise<Target> {
  if (looksLikeAFile(nameOrPath)) {
    return loadTarget(nameOrPath, targets);
  }
  const found = targets.find((target) => target.name === nameOrPath || target.aliases.includes(nameOrPath));
  if (found !== undefined) {
    return found;
  }
  const names = targets.map((target) => target.name);
  const nearest = nearestName(nameOrPath, [...names, ...targets.flatMap((target) => target.aliases)]);
  throw new EmbedError('EM1203', {
    where: '--target',
    why: `there is no target '${nameOrPath}'; there are ${names.join(', ')}`,
    ...(nearest === undefined ? {} : { fix: `did you mean ${nearest}?` }),
  });
}
