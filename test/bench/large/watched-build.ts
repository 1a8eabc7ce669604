/** Builds with nothing in the cache, in a process of its own, and says what that took. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Manifest, readManifest } from '../../../codegen/bundle/manifest.js';
import { projectRoot } from '../project-root.js';
import type { Usage } from './usage-at-exit.js';

export interface WatchedBuild extends Usage {
  readonly seconds: number;
  readonly manifest: Manifest;
}

/**
 * `folder` takes the cache and the bundle; what the build says goes to stderr as it says it. Null where it refuses, having said why.
 * Throws where it cannot be started or is killed.
 */
export async function watchedBuild(folder: string, options: readonly string[]): Promise<WatchedBuild | null> {
  const bundle = join(folder, 'bundle');
  const usage = join(folder, 'usage.json');
  const watcher = new URL('usage-at-exit.js', import.meta.url).href;
  const program = ['--import', watcher, join(projectRoot, 'bin', 'embed-model.js'), 'build'];
  const env = { ...process.env, XDG_CACHE_HOME: join(folder, 'cache'), EM_USAGE: usage };
  const start = process.hrtime.bigint();
  const child = spawn(process.execPath, [...program, ...options, '--out', bundle], {
    ...{ env, stdio: ['ignore', 'ignore', 'inherit'] },
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  if (code === null) throw new Error('the build was killed');
  if (code !== 0) return null;
  return { ...(JSON.parse(readFileSync(usage, 'utf8')) as Usage), seconds, manifest: readManifest(bundle) };
}
