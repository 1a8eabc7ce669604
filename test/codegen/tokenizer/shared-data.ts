/** Data that may lie beside the project; tests that need them skip by name where they are absent. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The root of the project, from dist/test/codegen/tokenizer. */
export const projectRoot = fileURLToPath(new URL('../../../../', import.meta.url));
const shared = join(projectRoot, '..', 'shared');

export function sharedPath(...parts: string[]): string {
  return join(shared, ...parts);
}

/** Options of a test that needs these files of ../shared. */
export function needsShared(...paths: string[]): { skip: string | false } {
  const missing = paths.find((path) => !existsSync(sharedPath(path)));
  return { skip: missing !== undefined && `no ../shared/${missing}` };
}

/** The first lines of a corpus that are not empty. */
export function corpusLines(name: string, count: number): string[] {
  const text = readFileSync(sharedPath('corpora', name), 'utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .slice(0, count);
}
