/** How far the predictions of a model with other weights are from those of the checkpoint, in float. */
import { LogitComparison } from '../evaluate/logit-comparison.js';
import type { Graph } from '../graph/graph.js';
import type { FloatWeights } from './float-evaluator.js';
import { LayerStream } from './layer-stream.js';
import { createLinearAlgebra } from './linear-algebra.js';

/** Means over all positions that another token follows, in nats. */
export interface Divergence {
  /** Kullback-Leibler divergence from the checkpoint. */
  readonly kld: number;
  /** ln of the perplexity over that of the checkpoint. */
  readonly lnRatio: number;
  readonly positions: number;
}

/** Holds the checkpoint's logits over some windows and compares weights with them. */
export class DivergenceProbe {
  readonly #reference: readonly Float32Array[];

  private constructor(
    readonly graph: Graph,
    readonly windows: readonly (readonly number[])[],
    reference: readonly Float32Array[],
  ) {
    this.#reference = reference;
  }

  /** Windows are at most as long as the context. Keeps float32[tokens x vocabSize]. */
  static async over(
    graph: Graph,
    weights: FloatWeights,
    windows: readonly (readonly number[])[],
    signal: AbortSignal,
  ): Promise<DivergenceProbe> {
    const reference: Float32Array[] = [];
    const keep = (window: number, logits: Float32Array) => {
      reference[window] = logits.slice();
    };
    await eachLogits(graph, weights, windows, keep, signal);
    return new DivergenceProbe(graph, windows, reference);
  }

  async measure(weights: FloatWeights, signal: AbortSignal): Promise<Divergence> {
    const size = this.graph.vocabSize;
    const comparison = new LogitComparison();
    const sums = { kld: 0, lnRatio: 0, positions: 0 };
    const compare = (window: number, logits: Float32Array) => {
      const ids = this.windows[window]!;
      for (let i = 0; i + 1 < ids.length; i++) {
        const at = (values: Float32Array) => values.subarray(i * size, (i + 1) * size);
        const found = comparison.compare(at(this.#reference[window]!), at(logits), ids[i + 1]!);
        sums.kld += found.divergence;
        sums.lnRatio += found.nllQuantized - found.nllReference;
        sums.positions++;
      }
    };
    await eachLogits(this.graph, weights, this.windows, compare, signal);
    const { kld, lnRatio, positions } = sums;
    return { kld: kld / positions, lnRatio: lnRatio / positions, positions };
  }
}

async function eachLogits(
  graph: Graph,
  weights: FloatWeights,
  windows: readonly (readonly number[])[],
  use: (window: number, logits: Float32Array) => void,
  signal: AbortSignal,
): Promise<void> {
  // A linear algebra of its own: what it keeps of these weights is freed with it.
  const stream = new LayerStream(graph, weights, createLinearAlgebra(), windows);
  await stream.begin(signal);
  for (const layer of graph.layers.keys()) await stream.layer(layer, null, true, signal);
  await stream.epilogue(null, use, signal);
}
