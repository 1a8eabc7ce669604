import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** The tiers that need more than a compiler and qemu-user, or more than minutes: each is the folder of test with its name. */
export const tiers = ['boards', 'nightly'];

/**
 * Sources of tests, as test/NAME.test.ts with slashes, that have one of the words in their paths; no words: all. `tier` is one of
 * the tiers, or undefined for everything else. What runs whole programs takes longest and comes first.
 */
export function testFiles(root, tier, words) {
  const folder = join(root, 'test', tier ?? '');
  if (!existsSync(folder)) return [];
  const isOther = (name) => tier === undefined && tiers.some((other) => name.startsWith(`test/${other}/`));
  return readdirSync(folder, { recursive: true })
    .map((name) => ['test', tier, name.replaceAll('\\', '/')].filter(Boolean).join('/'))
    .filter((name) => name.endsWith('.test.ts') && !isOther(name))
    .filter((name) => words.length === 0 || words.some((word) => name.includes(word)))
    .sort()
    .reverse();
}
