/** Golden runs: what the integer reference makes of a prompt. Every implementation on every board must give the same. */
import { LogitsDigest } from '../arithmetic/digest.js';
import { Sampler } from '../arithmetic/sampler.js';
import type { GoldenRun, SamplingSettings } from '../bundle/manifest.js';
import type { IntegerModel } from '../lower/lower.js';
import { breathe, type StageContext } from '../progress.js';
import type { GoldenPrompt } from './golden-prompt.js';
import { IntegerEvaluator } from './integer-evaluator.js';

/** One way to go on after the prompt. */
export interface Continuation {
  /** Most tokens to generate; fewer where the text ends. Beyond the context the window slides, as with em-run --slide. */
  readonly tokens: number;
  readonly sampling: SamplingSettings;
}

export const greedySampling: SamplingSettings = { temperatureQ16: 0, topK: 0, topPQ16: 65536, seed: '0' };

/** Temperature 0.8, top-k 40, top-p 0.95, seed 1. */
export const seededSampling: SamplingSettings = {
  temperatureQ16: Math.round(0.8 * 65536),
  topK: 40,
  topPQ16: Math.round(0.95 * 65536),
  seed: '1',
};

/** Parameters above which the reference, which takes seconds a token then, generates fewer tokens. */
const LARGE_MODEL = 50e6;
const LARGE_MODEL_TOKENS = 8;

/** A continuation in the making: takes the logits of each position, and says which token to decode next. */
class Recording {
  readonly digest = new LogitsDigest();
  readonly tokenIds: number[] = [];
  readonly #sampler: Sampler;

  constructor(
    readonly model: IntegerModel,
    readonly continuation: Continuation,
    readonly eosIds: readonly number[],
  ) {
    const { seed, ...settings } = continuation.sampling;
    this.#sampler = new Sampler({ ...settings, seed: BigInt(seed) });
  }

  /** Chooses a token by the logits of the position before. Returns it, or null where no further logits are needed. */
  choose(logits: Int32Array): number | null {
    const { tokenIds, continuation, eosIds, model } = this;
    if (continuation.tokens === 0) return null;
    const id = this.#sampler.sample(logits, model.logitsFrac);
    tokenIds.push(id);
    return tokenIds.length === continuation.tokens || eosIds.includes(id) ? null : id;
  }
}

/** Yields after each position it computed, for the caller to stay responsive. The prompt is computed once for all. */
function* record(
  model: IntegerModel,
  prompt: GoldenPrompt,
  continuations: readonly Continuation[],
  eosIds: readonly number[],
): Generator<void, GoldenRun[]> {
  const evaluator = new IntegerEvaluator(model);
  const recordings = continuations.map((continuation) => new Recording(model, continuation, eosIds));
  let promptLogits: Int32Array = new Int32Array(0);
  for (const id of prompt.ids) {
    promptLogits = evaluator.decode(id);
    for (const { digest } of recordings) digest.add(promptLogits);
    yield;
  }
  promptLogits = promptLogits.slice(); // the evaluator reuses its own
  for (const recording of recordings) {
    evaluator.rewind(prompt.ids.length);
    const ids = [...prompt.ids];
    for (let id = recording.choose(promptLogits); id !== null; ) {
      ids.push(id);
      const logits = decodeLast(evaluator, ids, model.graph.context);
      recording.digest.add(logits);
      yield;
      id = recording.choose(logits);
    }
  }
  return recordings.map(({ continuation, tokenIds, digest }) => ({
    prompt: prompt.text,
    promptIds: [...prompt.ids],
    sampling: continuation.sampling,
    tokenIds,
    logitsDigest: digest.hex(),
  }));
}

/** The logits behind the last of these ids: where there are more than the context holds, of the last ones from position 0 on. */
function decodeLast(evaluator: IntegerEvaluator, ids: readonly number[], context: number): Int32Array {
  if (evaluator.position < context) return evaluator.decode(ids.at(-1)!);
  evaluator.rewind(0);
  return ids
    .slice(-context)
    .map((id) => evaluator.decode(id))
    .at(-1)!;
}

/**
 * One golden run. Digested are the logits of prompt.length + tokenIds.length - 1 positions: a generated token that ends the
 * text or the run is listed and not decoded, as templates/runner/generate.c does it.
 *
 * @param prompt the text that `promptIds` (at least one) came from, or null
 */
export function goldenRun(
  model: IntegerModel,
  prompt: string | null,
  promptIds: readonly number[],
  tokens: number,
  sampling: SamplingSettings,
  eosIds: readonly number[],
): GoldenRun {
  const steps = record(model, { text: prompt, ids: promptIds }, [{ tokens, sampling }], eosIds);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value[0]!;
  }
}

/** The golden runs of a build: greedy, and sampled with a seed; 24 and 16 tokens, fewer for large models and small contexts. */
export async function defaultGoldenRuns(
  model: IntegerModel,
  prompt: GoldenPrompt,
  eosIds: readonly number[],
  parameters: number,
  { progress, signal }: StageContext,
): Promise<GoldenRun[]> {
  const limit = Math.min(
    parameters > LARGE_MODEL ? LARGE_MODEL_TOKENS : Number.POSITIVE_INFINITY,
    model.graph.context - prompt.ids.length,
  );
  const continuations = [
    { tokens: Math.min(24, limit), sampling: greedySampling },
    { tokens: Math.min(16, limit), sampling: seededSampling },
  ];
  const most = continuations.reduce((sum, { tokens }) => sum + tokens - 1, prompt.ids.length);
  progress.begin('golden runs', most, 'position');
  const steps = record(model, prompt, continuations, eosIds);
  for (;;) {
    await breathe(signal);
    const step = steps.next();
    if (!step.done) {
      progress.advance(1);
      continue;
    }
    progress.end(step.value.map(({ logitsDigest }) => logitsDigest).join(', '));
    return step.value;
  }
}
