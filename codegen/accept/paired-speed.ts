/** How much faster one build decodes than another: runs in pairs, right after each other, so that both meet the same machine. */
import type { HostBuild } from '../evaluate/host-build.js';
import type { StageContext } from '../progress.js';
import { type MedianInterval, medianInterval } from './median-interval.js';
import { runHostBuild } from './run-host-build.js';

/** Eleven pairs: the third of them from either end bounds the median with 97 % confidence. */
const PAIRS = 11;
const PROMPT = 8;
const TOKENS = 33;

export interface PairedSpeed {
  readonly pairs: number;
  /** Decode steps behind a run's figure, which is their median: what interrupts a step now and then does not count. */
  readonly steps: number;
  /** Times as many tokens a second. */
  readonly ratio: MedianInterval;
}

type Program = Pick<HostBuild, 'target' | 'binary' | 'blob'>;

/**
 * Decodes with both programs in turn, one thread each, the order changing from pair to pair. `promptIds` begin the text (repeated or
 * cut to what is needed). Null where the context has no room for two tokens.
 */
export async function measurePairs(
  fast: Program,
  slow: Program,
  promptIds: readonly number[],
  context: number,
  { progress, signal }: StageContext,
): Promise<PairedSpeed | null> {
  const length = Math.min(PROMPT, context >> 1);
  const tokens = Math.min(TOKENS, context - length);
  if (length < 1 || tokens < 2) return null;
  const ids = Array.from({ length }, (_, i) => promptIds[i % promptIds.length] ?? 0);
  const stepTime = async (program: Program) => {
    const { tokens: found } = await runHostBuild(program, ids, tokens, signal);
    return medianInterval(found.slice(1).map(({ ns }) => ns)).median;
  };
  progress.begin('compare speed', PAIRS + 1, 'pair');
  const ratios: number[] = [];
  for (let pair = 0; pair <= PAIRS; pair++) {
    const isFirst = pair % 2 === 0;
    const before = isFirst ? await stepTime(fast) : 0;
    const slowTime = await stepTime(slow);
    const fastTime = isFirst ? before : await stepTime(fast);
    if (pair > 0) ratios.push(slowTime / fastTime); // the first pair fills caches
    progress.advance(1);
  }
  const ratio = medianInterval(ratios);
  progress.end(`${ratio.median.toFixed(2)} times as fast as with 16-bit weights`);
  return { pairs: PAIRS, steps: tokens - 1, ratio };
}
