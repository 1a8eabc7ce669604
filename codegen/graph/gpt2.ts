/**
 * GPT-2 as a graph (Radford et al. 2019): learned positions, layer norms, attention with biases, an MLP with GELU, a head that
 * usually shares the embedding.
 */
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import type { Gpt2Config } from '../checkpoint/config.js';
import type { BufferInfo, Graph, Op } from './graph.js';
import { GraphBuilder } from './graph-builder.js';
import { queryGain } from './llama.js';

/** The ops of layers, by the names that bindGpt2Tensors gives to tensors. */
class Gpt2Builder extends GraphBuilder {
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

  norm(name: string, vector: string, tensor: string): Op[] {
    const { hiddenSize, normEpsilon } = this.config;
    const range = vector;
    return [
      this.layernorm(
        name,
        { vector, tensor, input: 'x', output: 'n', range, epsilon: normEpsilon },
        hiddenSize,
      ),
    ];
  }

  attention(layer: number): Op[] {
    const { hiddenSize, heads, headDim } = this.config;
    const [at, from] = [`layers.${layer}`, `h.${layer}`];
    const project = (name: 'q' | 'k' | 'v', gain: number) =>
      this.linear(
        name,
        {
          ...{ matrix: `${at}.attn.${name}`, tensor: `${from}.attn.${name}`, range: `${at}.${name}` },
          ...{ input: 'n8', output: name, gain },
        },
        hiddenSize,
        hiddenSize,
      );
    const shape = { layer, heads, kvHeads: heads, headDim, window: null };
    const o = {
      matrix: `${at}.attn.o`,
      tensor: `${from}.attn.o`,
      input: 'att8',
      output: 'y',
      range: 'residual',
    };
    return [
      ...this.norm('attn_norm', `${at}.attn_norm`, `${from}.ln_1`),
      { kind: 'quantize', name: 'attn_in', input: 'n', output: 'n8' },
      project('q', this.queryGain(layer)),
      project('k', 1),
      project('v', 1),
      { kind: 'attention', name: 'attn', query: 'q', key: 'k', value: 'v', output: 'att', ...shape },
      { kind: 'quantize', name: 'o_in', input: 'att', output: 'att8' },
      this.linear('o', o, hiddenSize, hiddenSize),
      { kind: 'add', name: 'attn_add', input: 'y', output: 'x', range: 'residual' },
    ];
  }

  feedForward(layer: number): Op[] {
    const { hiddenSize, intermediateSize, gelu } = this.config;
    const [at, from] = [`layers.${layer}`, `h.${layer}`];
    const up = {
      matrix: `${at}.mlp.up`,
      tensor: `${from}.mlp.up`,
      input: 'n8',
      output: 'up',
      range: `${at}.up`,
    };
    const down = {
      matrix: `${at}.mlp.down`,
      tensor: `${from}.mlp.down`,
      input: 'h8',
      output: 'y',
      range: 'residual',
    };
    return [
      ...this.norm('mlp_norm', `${at}.mlp_norm`, `${from}.ln_2`),
      { kind: 'quantize', name: 'mlp_in', input: 'n', output: 'n8' },
      this.linear('up', up, intermediateSize, hiddenSize),
      { kind: 'gelu', name: 'act', form: gelu, input: 'up', output: 'h', range: `${at}.act` },
      { kind: 'quantize', name: 'down_in', input: 'h', output: 'h8' },
      this.linear('down', down, hiddenSize, intermediateSize),
      { kind: 'add', name: 'mlp_add', input: 'y', output: 'x', range: 'residual' },
    ];
  }

  head(): Op[] {
    const { tiedEmbedding, vocabSize, hiddenSize } = this.config;
    const place = { input: 'n8', output: 'logits', range: 'logits' };
    return [
      ...this.norm('head_norm', 'head_norm', 'ln_f'),
      { kind: 'quantize', name: 'head_in', input: 'n', output: 'n8' },
      tiedEmbedding
        ? { kind: 'linear', name: 'head', matrix: 'embed', bias: null, ...place, gain: 1 }
        : this.linear('head', { matrix: 'head', tensor: 'lm_head', ...place }, vocabSize, hiddenSize),
    ];
  }
}

function gpt2Buffers({ hiddenSize, intermediateSize, vocabSize }: Gpt2Config): Map<string, BufferInfo> {
  const int32 = (name: string, width: number): BufferInfo => ({ name, width, kind: 'int32' });
  const int8 = (name: string, width: number): BufferInfo => ({ name, width, kind: 'int8' });
  const buffers = [
    ...['x', 'n', 'q', 'k', 'v', 'att', 'y'].map((name) => int32(name, hiddenSize)),
    ...['n8', 'att8'].map((name) => int8(name, hiddenSize)),
    ...['up', 'h'].map((name) => int32(name, intermediateSize)),
    int8('h8', intermediateSize),
    int32('logits', vocabSize),
  ];
  return new Map(buffers.map((buffer) => [buffer.name, buffer]));
}

/** Builds the graph of a GPT-2 for a KV cache of `context` positions, which is also how many rows of positions it keeps. */
export function gpt2Graph(checkpoint: Checkpoint<Gpt2Config>, context: number): Graph {
  const { config } = checkpoint;
  const { vocabSize, hiddenSize } = config;
  const builder = new Gpt2Builder(checkpoint, config);
  const aliases = config.tiedEmbedding ? ['head'] : [];
  const embed = builder.matrix('embed', 'wte.weight', vocabSize, hiddenSize, aliases);
  const positions = builder.matrix('positions', 'wpe.weight', context, hiddenSize);
  const layers = Array.from({ length: config.layers }, (_, layer) => [
    ...builder.attention(layer),
    ...builder.feedForward(layer),
  ]);
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
    prologue: [
      { kind: 'embed', name: 'embed', index: 'token', matrix: embed, output: 'x', range: 'residual' },
      {
        kind: 'embed',
        name: 'position',
        index: 'position',
        matrix: positions,
        output: 'y',
        range: 'residual',
      },
      { kind: 'add', name: 'position_add', input: 'y', output: 'x', range: 'residual' },
    ],
    layers,
    epilogue,
    logits: 'logits',
  };
}
