/** The sources of the kernel module: the files of templates/module, and the golden runs as C. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Target } from '../../targets/target.js';
import type { GoldenRun } from '../bundle/manifest.js';
import { emitGolden } from '../emit/emit-golden.js';
import { render, templatesFolder } from '../emit/render.js';
import { kernelSetOf } from '../layout/kernel-set.js';

/** Name of the weights below /lib/firmware: modules and blobs of many builds may lie there. */
export const firmwareName = (buildId: string) => `embed_model/${buildId.slice(0, 16)}.blob`;

export interface ModuleSources {
  /** Hex. */
  readonly buildId: string;
  readonly golden: readonly GoldenRun[];
  readonly target: Pick<Target, 'kernelModeVectors'>;
  /** Whether the weights are linked into the module. */
  readonly linked: boolean;
}

/** Headers in general registers, for processors and callers that may not use vector registers: module/vectors/plain.c includes them. */
const portableHeaders = [...kernelSetOf('portable').shared, 'portable/em_row_sums.h'];

/** Files of templates/`folder` that are taken as they are, below module/`to`. */
function verbatim(folder: string, to: string): [string, string][] {
  const entries = readdirSync(join(templatesFolder, folder), { withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.hbs'))
    .map(({ name }) => [`${to}/${name}`, readFileSync(join(templatesFolder, folder, name), 'utf8')]);
}

/** Every file of module/, by path in the bundle. */
export function emitModule({ buildId, golden, target, linked }: ModuleSources): Map<string, string> {
  const vectors = target.kernelModeVectors !== null;
  const names = { buildId: buildId.slice(0, 16), firmware: firmwareName(buildId) };
  const switches = { vectors: vectors ? 1 : 0, linked: linked ? 1 : 0 };
  const files = new Map(verbatim('module', 'module'));
  files.set('module/names.h', render('module/names.h.hbs', { ...names, ...switches }));
  for (const [name, text] of emitGolden(golden)) files.set(`module/${name}`, text);
  if (vectors) {
    for (const [path, text] of verbatim('module/vectors', 'module/vectors')) files.set(path, text);
    for (const path of portableHeaders) {
      const text = readFileSync(join(templatesFolder, 'kernels', path), 'utf8');
      files.set(`module/vectors/portable/${basename(path)}`, text);
    }
  }
  return new Map([...files].sort(([a], [b]) => (a < b ? -1 : 1)));
}
