/** After a build: run the golden prompts where that is possible here, then once for speed and text. */
import type { BuildOptions } from '../codegen/build-options.js';
import type { Manifest, SamplingSettings } from '../codegen/bundle/manifest.js';
import type { StageContext } from '../codegen/progress.js';
import { composeResult, type Result } from './result.js';
import { equalsGolden, resultOf, runRunner, whyNotRunnable } from './run-bundle.js';

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
  progress.begin('run', manifest.golden.length + 1, 'run');
  let matches = true;
  for (const golden of manifest.golden) {
    const request = {
      prompt: null,
      ids: golden.promptIds,
      tokens: golden.tokenIds.length,
      sampling: golden.sampling,
      threads: options.threads,
      chunk: null,
    };
    const { outcome } = await runRunner(bundle, manifest, request, 'auto', signal);
    matches &&= equalsGolden(outcome, golden);
    progress.advance(1);
  }
  const [first] = manifest.golden;
  const promptIds = first?.promptIds ?? [0];
  const request = {
    prompt: null,
    ids: promptIds,
    tokens: Math.min(options.tokens, manifest.context - promptIds.length),
    sampling: greedy,
    threads: options.threads,
    chunk: null,
  };
  const run = await runRunner(bundle, manifest, request, 'auto', signal);
  progress.end(matches ? 'logits equal the reference' : 'LOGITS DIFFER from the reference');
  return resultOf(bundle, manifest, run, first?.prompt ?? null, matches, []);
}
