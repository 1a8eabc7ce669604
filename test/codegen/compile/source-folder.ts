/** A folder of C sources for one test. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';

/** Its path. The folder goes when the test ends. */
export async function sourceFolder(t: Test, files: Readonly<Record<string, string>>): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'em-sources-'));
  t.teardown(() => rm(root, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(root, name), text);
  }
  return root;
}
