import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RunOptions } from '../codegen/build-options.js';
import { type Manifest, readManifest } from '../codegen/bundle/manifest.js';
import { EmbedError } from '../codegen/diagnostics/error.js';
import type { DryRun } from '../codegen/dry-run.js';
import { type BenchOptions, benchRequests } from './bench-bundle.js';
import { findLauncher, type LocalMode } from './local.js';
import { localCommand } from './local-machine.js';
import { type RunnerRequest, runnerArguments } from './run-bundle.js';
import { type VerifyOptions, verifyRequests } from './verify-bundle.js';
import { tracedRequest } from './verify-layers.js';

/** The commands that run the requests with a bundle here; none, and a note that says why, where nothing here can run it. */
export async function plannedRuns(
  bundle: string,
  manifest: Pick<Manifest, 'targetSpec' | 'singleFile'>,
  requests: readonly RunnerRequest[],
  mode: LocalMode,
): Promise<Omit<DryRun, 'files'>> {
  if (requests.length === 0) return { commands: [], notes: [] };
  try {
    const { prefix } = await findLauncher(manifest.targetSpec, mode);
    const commands = requests.map((request) => ({
      command: [
        ...prefix,
        ...localCommand(bundle, manifest, runnerArguments(request), request.trace ?? null),
      ],
      cwd: null,
    }));
    return { commands, notes: [] };
  } catch (error) {
    if (!(error instanceof EmbedError) || error.code !== 'EM3201') throw error;
    return { commands: [], notes: [`Not run: ${error.why}; ${error.fix}`] };
  }
}

/** Options of a run on this machine: what a board would start depends on what lies there already. */
type Local<T extends { readonly mode: unknown }> = Omit<T, 'mode'> & { readonly mode: LocalMode };

/** What runBundle would start. */
export async function planRun(bundle: string, options: Local<RunOptions>): Promise<DryRun> {
  const manifest = readManifest(bundle);
  return { files: [], ...(await plannedRuns(bundle, manifest, [options], options.mode)) };
}

/** What verifyBundle would start. */
export async function planVerify(bundle: string, options: Local<VerifyOptions>): Promise<DryRun> {
  const { mode, layers, threads } = options;
  const manifest = readManifest(bundle);
  const [first] = manifest.golden;
  const trace = join(tmpdir(), 'embed-model-verify-XXXXXX', 'trace');
  const requests = [
    ...verifyRequests(manifest, threads).map(({ request }) => request),
    ...(layers && first !== undefined ? [tracedRequest(first, threads, trace)] : []),
  ];
  return { files: [], ...(await plannedRuns(bundle, manifest, requests, mode)) };
}

/** What benchBundle would start. */
export async function planBench(bundle: string, options: Local<BenchOptions>): Promise<DryRun> {
  const manifest = readManifest(bundle);
  const { golden, warmUp, measured } = benchRequests(manifest, options);
  const repeats = Array.from({ length: options.repeat }, () => measured);
  const requests = [...(golden === null ? [] : [golden]), warmUp, ...repeats];
  return { files: [], ...(await plannedRuns(bundle, manifest, requests, options.mode)) };
}
