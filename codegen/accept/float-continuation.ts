/** What a model in float makes of a text: its greedy continuation, and its first choice behind every position. */
import type { FloatEvaluator } from '../calibrate/float-evaluator.js';
import { breathe } from '../progress.js';

/** Positions whose logits are held at a time. */
const CHUNK = 64;

/**
 * Greedy continuation with the evaluator's KV cache; of equal logits the lower id wins. The text ends at one of `eosIds`, which is
 * listed, or after `tokens`; prompt and tokens fit the context.
 */
export async function continueGreedily(
  evaluator: FloatEvaluator,
  prompt: readonly number[],
  tokens: number,
  eosIds: readonly number[],
  signal: AbortSignal,
): Promise<number[]> {
  evaluator.reset();
  let [next] = await firstChoices(evaluator, prompt, prompt.length - 1, signal);
  const ids: number[] = [];
  while (ids.length < tokens) {
    ids.push(next!);
    if (ids.length === tokens || eosIds.includes(next!)) break;
    await breathe(signal);
    next = largest(evaluator.run([next!]));
  }
  return ids;
}

/** The most likely token behind each position from `first` on; the evaluator holds the ids then. They fit its context. */
export async function firstChoices(
  evaluator: FloatEvaluator,
  ids: readonly number[],
  first: number,
  signal: AbortSignal,
): Promise<number[]> {
  const { vocabSize } = evaluator.graph;
  const choices: number[] = [];
  for (let at = 0; at < ids.length; at += CHUNK) {
    await breathe(signal);
    const chunk = ids.slice(at, at + CHUNK);
    const logits = evaluator.run(chunk);
    for (let i = Math.max(0, first - at); i < chunk.length; i++) {
      choices.push(largest(logits.subarray(i * vocabSize, (i + 1) * vocabSize)));
    }
  }
  return choices;
}

function largest(logits: Float32Array): number {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if (logits[id]! > logits[best]!) best = id;
  return best;
}
