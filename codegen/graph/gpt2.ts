/**
 * GPT-2 as a graph (Radford et al. 2019): learned positions, layer norms, attention with biases, an MLP with GELU, a head that
 * usually shares the embedding.
 */
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import type { Gpt2Config } from '../checkpoint/config.js';
import type { BufferInfo, Graph, Op } from './graph.js';
import { buffersByName, int8Buffer, int32Buffer, LayerNormBuilder } from './layernorm-builder.js';
import { queryGain } from './llama.js';

/** The ops of layers, by the names that bindGpt2Tensors gives to tensors. */
class Gpt2Builder extends LayerNormBuilder<Gpt2Config> {
  constructor(
    checkpoint: Checkpoint,
    readonly config: Gpt2Config,
  ) {
    super(checkpoint);
  }

  /** What multiplies queries: see queryGain; the divisors of scores are settings. */
  queryGain(layer: number): number {
    const { headDim, scoreDivisor } = this.config;
    return queryGain(scoreDivisor.headDim ? headDim : 1) / (scoreDivisor.layer ? layer + 1 : 1);
  }

  layer(layer: number): Op[] {
    const from = `h.${layer}`;
    const attention = {
      norm: `${from}.ln_1`,
      ...{ q: `${from}.attn.q`, k: `${from}.attn.k`, v: `${from}.attn.v`, o: `${from}.attn.o` },
    };
    const mlp = { norm: `${from}.ln_2`, up: `${from}.mlp.up`, down: `${from}.mlp.down` };
    return [...this.attention(layer, attention, this.queryGain(layer)), ...this.feedForward(layer, mlp)];
  }

  head(): Op[] {
    const { tiedEmbedding, vocabSize, hiddenSize } = this.config;
    const place = { input: 'n8', output: 'logits', range: 'logits' };
    return [
      this.norm('head_norm', 'head_norm', 'ln_f'),
      { kind: 'quantize', name: 'head_in', input: 'n', output: 'n8' },
      tiedEmbedding
        ? { kind: 'linear', name: 'head', matrix: 'embed', bias: null, ...place, gain: 1 }
        : this.linear('head', { matrix: 'head', tensor: 'lm_head', ...place }, vocabSize, hiddenSize),
    ];
  }
}

function gpt2Buffers({ hiddenSize, intermediateSize, vocabSize }: Gpt2Config): Map<string, BufferInfo> {
  return buffersByName([
    ...['x', 'n', 'q', 'k', 'v', 'att', 'y'].map((name) => int32Buffer(name, hiddenSize)),
    ...['n8', 'att8'].map((name) => int8Buffer(name, hiddenSize)),
    ...['up', 'h'].map((name) => int32Buffer(name, intermediateSize)),
    int8Buffer('h8', intermediateSize),
    int32Buffer('logits', vocabSize),
  ]);
}

/** Builds the graph of a GPT-2 for a KV cache of `context` positions, which is also how many rows of positions it keeps. */
export function gpt2Graph(checkpoint: Checkpoint<Gpt2Config>, context: number): Graph {
  const { config } = checkpoint;
  const { vocabSize } = config;
  const builder = new Gpt2Builder(checkpoint, config);
  const aliases = config.tiedEmbedding ? ['head'] : [];
  const prologue = builder.embedding('wte.weight', 'wpe.weight', context, aliases);
  const layers = Array.from({ length: config.layers }, (_, layer) => builder.layer(layer));
  const epilogue = builder.head();
  return {
    family: config.family,
    vocabSize,
    context,
    layerCount: config.layers,
    buffers: gpt2Buffers(config),
    matrices: builder.matrices,
    vectors: builder.vectors,
    rope: null,
    cache: { kvHeads: config.kvHeads, headDim: config.headDim },
    prologue,
    layers,
    epilogue,
    logits: 'logits',
  };
}
