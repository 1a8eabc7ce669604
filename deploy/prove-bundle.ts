/** After a build: run the golden prompts where that is possible here, then once for speed and text. */
import type { BuildOptions } from '../codegen/build-options.js';
import type { GoldenRun, Manifest, SamplingSettings } from '../codegen/bundle/manifest.js';
import type { StageContext } from '../codegen/progress.js';
import { composeResult, type Result } from './result.js';
import { equalsGolden, type RunnerRequest, resultOf, runRunner, whyNotRunnable } from './run-bundle.js';

const greedy: SamplingSettings = { temperatureQ16: 0, topK: 0, topPQ16: 65536, seed: '0' };

/** The result of a build. Without a way to run, the measured fields are null and a warning says what to install. */
export async function proveBundle(
  bundle: string,
  manifest: Manifest,
  options: BuildOptions,
  { progress, signal }: StageContext,
): Promise<Result> {
  if (!options.run) return composeResult(manifest, null, []);
  const obstacle = await whyNotRunnable(manifest);
  if (obstacle !== null) {
    progress.warn(`built, not run: ${obstacle}`);
    return composeResult(manifest, null, [`not run: ${obstacle}`]);
  }
  const { goldenRuns, last } = proofRequests(manifest.golden, manifest.context, options);
  progress.begin('run', goldenRuns.length + 1, 'run');
  let matches = true;
  for (const { golden, request } of goldenRuns) {
    const { outcome } = await runRunner(bundle, manifest, request, 'auto', signal);
    matches &&= equalsGolden(outcome, golden);
    progress.advance(1);
  }
  const run = await runRunner(bundle, manifest, last, 'auto', signal);
  progress.end(matches ? 'logits equal the reference' : 'LOGITS DIFFER from the reference');
  return resultOf(bundle, manifest, run, manifest.golden[0]?.prompt ?? null, matches, []);
}

/** The runs of a proof: the golden ones, and one for speed and text. `context` is that of the model. */
export function proofRequests(
  golden: readonly GoldenRun[],
  context: number,
  { tokens, threads }: Pick<BuildOptions, 'tokens' | 'threads'>,
): { goldenRuns: { golden: GoldenRun; request: RunnerRequest }[]; last: RunnerRequest } {
  const common = { prompt: null, threads, chunk: null };
  const goldenRuns = golden.map((one) => {
    const { promptIds: ids, tokenIds, sampling } = one;
    return { golden: one, request: { ...common, ids, tokens: tokenIds.length, sampling } };
  });
  const ids = golden[0]?.promptIds ?? [0];
  const last = { ...common, ids, tokens: Math.min(tokens, context - ids.length), sampling: greedy };
  return { goldenRuns, last };
}
