import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { unwritable } from './output-folder.js';

/** Writes files into <bundle>/report: each appears whole, or not at all. Throws EM1301. */
export function writeReportFiles(bundle: string, files: Readonly<Record<string, string>>): void {
  const folder = join(bundle, 'report');
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    const staged = `${path}.${process.pid}`;
    try {
      mkdirSync(folder, { recursive: true });
      writeFileSync(staged, content);
      renameSync(staged, path);
    } catch (cause) {
      rmSync(staged, { force: true });
      throw unwritable(path, cause);
    }
  }
}
