/** A hash of the code that integers and sensitivities depend on, so that none are kept beyond a change of it. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { toolVersion } from './version.js';

/** Folders whose modules a fit, or a measurement of sensitivities, runs through. */
const folders = ['allocate', 'arithmetic', 'calibrate', 'graph', 'ops', 'quantize'];
const codegen = fileURLToPath(new URL('.', import.meta.url));

let found: string | null = null;

/** SHA-256 (hex) over the modules as they are installed; of the version alone where they are not there as files. */
export function codeHash(): string {
  if (found !== null) return found;
  const hash = createHash('sha256').update(toolVersion());
  for (const folder of folders) {
    try {
      const names = readdirSync(join(codegen, folder), { recursive: true, encoding: 'utf8' });
      for (const name of names.filter((one) => /\.(?:js|wasm)$/.test(one)).sort()) {
        hash.update(name.replaceAll('\\', '/')).update(readFileSync(join(codegen, folder, name)));
      }
    } catch {
      hash.update(folder);
    }
  }
  found = hash.digest('hex');
  return found;
}
