/** The sources of the kernel module: the files of templates/module, and the golden runs as C. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GoldenRun } from '../bundle/manifest.js';
import { emitGolden } from '../emit/emit-golden.js';
import { render, templatesFolder } from '../emit/render.js';

/** Name of the weights below /lib/firmware: modules and blobs of many builds may lie there. */
export const firmwareName = (buildId: string) => `embed_model/${buildId.slice(0, 16)}.blob`;

/** Every file of module/, by path in the bundle. `buildId`: hex. */
export function emitModule(buildId: string, golden: readonly GoldenRun[]): Map<string, string> {
  const folder = join(templatesFolder, 'module');
  const files = new Map<string, string>();
  for (const name of readdirSync(folder).filter((name) => !name.endsWith('.hbs'))) {
    files.set(`module/${name}`, readFileSync(join(folder, name), 'utf8'));
  }
  const names = { buildId: buildId.slice(0, 16), firmware: firmwareName(buildId) };
  files.set('module/names.h', render('module/names.h.hbs', names));
  for (const [name, text] of emitGolden(golden)) files.set(`module/${name}`, text);
  return new Map([...files].sort(([a], [b]) => (a < b ? -1 : 1)));
}
