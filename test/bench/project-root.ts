import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where package.json lies, from dist/test/bench. */
export const projectRoot = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
