/** The sources of the kernel module: the files of templates/module, and the golden runs as C. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GoldenRun } from '../bundle/manifest.js';
import { render, templatesFolder } from '../emit/render.js';

/** Name of the weights below /lib/firmware: modules and blobs of many builds may lie there. */
export const firmwareName = (buildId: string) => `embed_model/${buildId.slice(0, 16)}.blob`;

/** Ids of a line, twelve each. */
function idLines(ids: readonly number[]): string[] {
  const lines: string[] = [];
  for (let from = 0; from < ids.length; from += 12) lines.push(`${ids.slice(from, from + 12).join(', ')},`);
  return lines;
}

function runView({ promptIds, tokenIds, sampling, logitsDigest }: GoldenRun, index: number) {
  return {
    index,
    what: sampling.temperatureQ16 === 0 ? 'greedy' : 'sampled',
    ...{ prompt: idLines(promptIds), promptCount: promptIds.length },
    ...{ ids: idLines(tokenIds), count: tokenIds.length },
    ...{ temperature: sampling.temperatureQ16, topK: sampling.topK, topP: sampling.topPQ16 },
    ...{ seed: sampling.seed, digest: logitsDigest },
  };
}

/** Every file of module/, by path in the bundle. `buildId`: hex. Runs without a token are left out. */
export function emitModule(buildId: string, golden: readonly GoldenRun[]): Map<string, string> {
  const runs = golden.filter(({ tokenIds }) => tokenIds.length > 0).map(runView);
  const folder = join(templatesFolder, 'module');
  const files = new Map<string, string>();
  for (const name of readdirSync(folder).filter((name) => !name.endsWith('.hbs'))) {
    files.set(`module/${name}`, readFileSync(join(folder, name), 'utf8'));
  }
  const names = { buildId: buildId.slice(0, 16), firmware: firmwareName(buildId), goldens: runs.length };
  files.set('module/golden_names.h', render('module/golden_names.h.hbs', names));
  files.set('module/golden.c', render('module/golden.c.hbs', { runs }));
  return new Map([...files].sort(([a], [b]) => (a < b ? -1 : 1)));
}
