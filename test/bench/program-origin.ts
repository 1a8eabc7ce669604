/** What the code of a program of random weights comes from: while it is the same, what was built and counted stays valid. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from './project-root.js';

/**
 * Folders of all that decides about instructions and layouts, and of what counts them. How weights are read, calibrated and
 * quantized is not among it: no figure of the benchmark depends on their values.
 */
const folders = [
  ...['kernels', 'runtime', 'runner', 'ops'].map((name) => join('templates', name)),
  ...['arithmetic', 'compile', 'emit', 'graph', 'layout', 'lower', 'ops'].map((name) =>
    join('dist', 'codegen', name),
  ),
  join('dist', 'targets'),
  join('dist', 'test', 'bench', 'instructions'),
  join('dist', 'test', 'bench', 'machine-code'),
];

/** What is done with them in which order. */
const pipeline = join('dist', 'codegen', 'pipeline.js');

/** SHA-256 over names and bytes of these files. */
export function programOrigin(): string {
  const hash = createHash('sha256').update(readFileSync(join(projectRoot, pipeline)));
  for (const folder of folders) {
    const names = readdirSync(join(projectRoot, folder), { recursive: true, encoding: 'utf8' });
    for (const name of names.filter((name) => /\.(js|h|c|hbs)$/.test(name)).sort()) {
      hash.update(`${folder}/${name}\0`).update(readFileSync(join(projectRoot, folder, name)));
    }
  }
  return hash.digest('hex');
}
