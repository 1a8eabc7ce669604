/** How many positions the KV cache of a build holds. */
import type { DecoderConfig } from '../checkpoint/config.js';
import { EmbedError } from '../diagnostics/error.js';
import type { Progress } from '../progress.js';

/** Positions that are built for unless --context asks for more: caches of long contexts are larger than small models. */
export const DEFAULT_CONTEXT_LIMIT = 2048;

/** Throws EM1207 for more positions than the model was trained for. */
export function contextLength(config: DecoderConfig, asked: number | null, progress: Progress): number {
  const positions = contextOf(config, asked);
  if (asked === null && positions < config.contextLength) {
    progress.warn(`context limited to ${positions} of ${config.contextLength} positions; --context sets it`);
  }
  return positions;
}

/** The same without a word. */
export function contextOf(config: DecoderConfig, asked: number | null): number {
  if (asked === null) return Math.min(config.contextLength, DEFAULT_CONTEXT_LIMIT);
  if (asked > config.contextLength) {
    const why = `${asked} positions, the model was trained for ${config.contextLength}`;
    throw new EmbedError('EM1207', { where: '--context', why });
  }
  return asked;
}
