import { EmbedError } from '../diagnostics/error.js';
import type { LlamaConfig } from './config.js';

/**
 * The largest decoder that is read. The bounds are far above any model that fits a board; they keep every
 * size below 2^53 and stop a damaged header from asking for absurd amounts of work.
 */
export const limits = {
  vocabSize: 2 ** 20,
  /** What a norm sums: docs/arithmetic.md, section 5. */
  hiddenSize: 8192,
  intermediateSize: 65536,
  layers: 512,
  heads: 512,
  headDim: 256,
  contextLength: 2 ** 20,
} as const;

/** Relations between the sizes of a decoder that every reader must have checked. Throws EM1006. */
export function requireConsistentSizes(where: string, config: LlamaConfig): void {
  const { ropeScaling } = config;
  if (ropeScaling.kind === 'factors' && ropeScaling.factors.length !== config.headDim / 2) {
    const why = `rope_scaling has ${ropeScaling.factors.length} factors, a head ${config.headDim / 2} pairs of elements`;
    throw new EmbedError('EM1006', { where, why });
  }
  const { heads, kvHeads, headDim } = config;
  if (heads % kvHeads !== 0) {
    throw new EmbedError('EM1006', {
      where,
      why: `${heads} query heads cannot share ${kvHeads} key/value heads: not a multiple`,
    });
  }
  if (headDim % 2 !== 0 || headDim < 2 || headDim > limits.headDim) {
    throw new EmbedError('EM1006', {
      where,
      why: `a head has ${headDim} elements; expected: an even number from 2 to ${limits.headDim}`,
    });
  }
}
