/** What scripts make of Debian packages once and keep: kernels, initial file systems, headers. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Folder of the repository. */
export const repository = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');

/** EMBED_TEST_BOARDS: where what is made is kept. */
const cache = () =>
  process.env.EMBED_TEST_BOARDS ??
  join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'embed-model', 'test-boards');

export interface Recipe {
  /** Files that what is made depends on, below the folder of the repository; the first is the script. */
  readonly files: readonly [string, ...string[]];
  /** Parts of the name of the folder it is kept in. */
  readonly name: readonly string[];
  /** Arguments of the script, which makes the folder. */
  readonly args: (folder: string) => readonly string[];
  /** Files of the folder that are there when the script has ended well. */
  readonly makes: readonly string[];
  readonly timeoutMs?: number;
}

/** The folder, made if it is not there; the reason where it cannot be made here. */
export function madeOnce(recipe: Recipe): { readonly folder: string } | string {
  const hash = createHash('sha256');
  for (const file of [...recipe.files, 'test/boards/apt-root.sh']) {
    hash.update(readFileSync(join(repository, file)));
  }
  const folder = join(cache(), [...recipe.name, hash.digest('hex').slice(0, 12)].join('-'));
  if (recipe.makes.every((file) => existsSync(join(folder, file)))) return { folder };
  const [script] = recipe.files;
  const made = spawnSync(join(repository, script), recipe.args(folder), {
    encoding: 'utf8',
    timeout: recipe.timeoutMs ?? 600_000,
    maxBuffer: 1 << 26,
  });
  if (made.status === 0) return { folder };
  const said = made.stderr.trim().split('\n').slice(-2).join(' / ');
  return `${basename(script)} made nothing of Debian's packages: ${made.error?.message ?? said}`;
}
