/**
 * The Llama family as a graph: RMSNorm, rope, grouped-query attention, SwiGLU; with the biases of Qwen2, the q/k norms of Qwen3
 * and the sliding window of Mistral (Touvron et al. 2023, arXiv 2302.13971; Jiang et al. 2023, arXiv 2310.06825).
 */
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import type { LlamaConfig } from '../checkpoint/config.js';
import type { BufferInfo, Graph, Op } from './graph.js';
import { GraphBuilder } from './graph-builder.js';
import { ropeFrequencies } from './rope-frequencies.js';

/**
 * Scores are taken to base 2 and keys are int8 over 127, so q is produced already multiplied by log2(e) / (127 sqrt(headDim)):
 * the factor disappears into the row multipliers of the q projection (or the gain of its norm).
 */
export function queryGain(headDim: number): number {
  return Math.LOG2E / (127 * Math.sqrt(headDim));
}

/** The ops of layers and head. */
class LlamaBuilder extends GraphBuilder {
  constructor(override readonly checkpoint: Checkpoint<LlamaConfig>) {
    super(checkpoint);
  }

  norm(name: string, vector: string, tensor: string, input: string, output: string, range: string): Op {
    const { hiddenSize, normEpsilon } = this.checkpoint.config;
    const gains = this.vector(vector, tensor, hiddenSize);
    return { kind: 'rmsnorm', name, gains, input, output, heads: 1, epsilon: normEpsilon, range, gain: 1 };
  }

  /** Norm of every head of q or k on its own (Qwen3). */
  headNorm(name: string, layer: number, buffer: string, heads: number, gain: number): Op {
    const { headDim, normEpsilon } = this.checkpoint.config;
    const tensor = `model.layers.${layer}.self_attn.${name}.weight`;
    const gains = this.vector(`layers.${layer}.attn.${name}`, tensor, headDim);
    const range = `layers.${layer}.${name}`;
    return {
      kind: 'rmsnorm',
      name,
      gains,
      input: buffer,
      output: buffer,
      heads,
      epsilon: normEpsilon,
      range,
      gain,
    };
  }

  attention(layer: number): Op[] {
    const { hiddenSize, heads, kvHeads, headDim, qkNorm, slidingWindow } = this.checkpoint.config;
    const hf = `model.layers.${layer}.self_attn`;
    const at = `layers.${layer}`;
    const gain = queryGain(headDim);
    const place = (name: string) => ({
      matrix: `${at}.attn.${name}`,
      tensor: `${hf}.${name}_proj`,
      input: 'n8',
      output: name,
      range: `${at}.${name}`,
    });
    const kvWidth = kvHeads * headDim;
    return [
      this.norm(
        'attn_norm',
        `${at}.attn_norm`,
        `model.layers.${layer}.input_layernorm.weight`,
        'x',
        'n',
        `${at}.attn_norm`,
      ),
      { kind: 'quantize', name: 'attn_in', input: 'n', output: 'n8' },
      this.linear('q', { ...place('q'), gain: qkNorm ? 1 : gain }, heads * headDim, hiddenSize),
      this.linear('k', place('k'), kvWidth, hiddenSize),
      this.linear('v', place('v'), kvWidth, hiddenSize),
      ...(qkNorm
        ? [this.headNorm('q_norm', layer, 'q', heads, gain), this.headNorm('k_norm', layer, 'k', kvHeads, 1)]
        : []),
      { kind: 'rope', name: 'q_rope', buffer: 'q', heads, headDim },
      { kind: 'rope', name: 'k_rope', buffer: 'k', heads: kvHeads, headDim },
      {
        kind: 'attention',
        name: 'attn',
        query: 'q',
        key: 'k',
        value: 'v',
        output: 'att',
        layer,
        heads,
        kvHeads,
        headDim,
        window: slidingWindow,
      },
      { kind: 'quantize', name: 'o_in', input: 'att', output: 'att8' },
      this.linear(
        'o',
        { matrix: `${at}.attn.o`, tensor: `${hf}.o_proj`, input: 'att8', output: 'y', range: 'residual' },
        hiddenSize,
        heads * headDim,
      ),
      { kind: 'add', name: 'attn_add', input: 'y', output: 'x', range: 'residual' },
    ];
  }

  feedForward(layer: number): Op[] {
    const { hiddenSize, intermediateSize } = this.checkpoint.config;
    const hf = `model.layers.${layer}`;
    const at = `layers.${layer}`;
    const place = (name: string) => ({
      matrix: `${at}.mlp.${name}`,
      tensor: `${hf}.mlp.${name}_proj`,
      input: 'n8',
      output: name,
      range: `${at}.${name}`,
    });
    return [
      this.norm(
        'mlp_norm',
        `${at}.mlp_norm`,
        `${hf}.post_attention_layernorm.weight`,
        'x',
        'n',
        `${at}.mlp_norm`,
      ),
      { kind: 'quantize', name: 'mlp_in', input: 'n', output: 'n8' },
      this.linear('gate', place('gate'), intermediateSize, hiddenSize),
      this.linear('up', place('up'), intermediateSize, hiddenSize),
      { kind: 'swiglu', name: 'act', gate: 'gate', up: 'up', output: 'h', range: `${at}.act` },
      { kind: 'quantize', name: 'down_in', input: 'h', output: 'h8' },
      this.linear(
        'down',
        {
          matrix: `${at}.mlp.down`,
          tensor: `${hf}.mlp.down_proj`,
          input: 'h8',
          output: 'y',
          range: 'residual',
        },
        hiddenSize,
        intermediateSize,
      ),
      { kind: 'add', name: 'mlp_add', input: 'y', output: 'x', range: 'residual' },
    ];
  }

  head(): Op[] {
    const { tiedEmbedding, vocabSize, hiddenSize } = this.checkpoint.config;
    const place = { input: 'n8', output: 'logits', range: 'logits' };
    return [
      this.norm('head_norm', 'head_norm', 'model.norm.weight', 'x', 'n', 'head_norm'),
      { kind: 'quantize', name: 'head_in', input: 'n', output: 'n8' },
      tiedEmbedding
        ? { kind: 'linear', name: 'head', matrix: 'embed', bias: null, ...place, gain: 1 }
        : this.linear('head', { matrix: 'head', tensor: 'lm_head', ...place }, vocabSize, hiddenSize),
    ];
  }
}

function llamaBuffers(checkpoint: Checkpoint<LlamaConfig>): Map<string, BufferInfo> {
  const { hiddenSize, intermediateSize, vocabSize, heads, kvHeads, headDim } = checkpoint.config;
  const buffers: BufferInfo[] = [
    { name: 'x', width: hiddenSize, kind: 'int32' },
    { name: 'n', width: hiddenSize, kind: 'int32' },
    { name: 'n8', width: hiddenSize, kind: 'int8' },
    { name: 'q', width: heads * headDim, kind: 'int32' },
    { name: 'k', width: kvHeads * headDim, kind: 'int32' },
    { name: 'v', width: kvHeads * headDim, kind: 'int32' },
    { name: 'att', width: heads * headDim, kind: 'int32' },
    { name: 'att8', width: heads * headDim, kind: 'int8' },
    { name: 'y', width: hiddenSize, kind: 'int32' },
    { name: 'gate', width: intermediateSize, kind: 'int32' },
    { name: 'up', width: intermediateSize, kind: 'int32' },
    { name: 'h', width: intermediateSize, kind: 'int32' },
    { name: 'h8', width: intermediateSize, kind: 'int8' },
    { name: 'logits', width: vocabSize, kind: 'int32' },
  ];
  return new Map(buffers.map((buffer) => [buffer.name, buffer]));
}

/** Builds the graph of a Llama-family checkpoint for a KV cache of `context` positions. */
export function llamaGraph(checkpoint: Checkpoint<LlamaConfig>, context: number): Graph {
  const { config } = checkpoint;
  const builder = new LlamaBuilder(checkpoint);
  const aliases = config.tiedEmbedding ? ['head'] : [];
  const embed = builder.matrix(
    'embed',
    'model.embed_tokens.weight',
    config.vocabSize,
    config.hiddenSize,
    aliases,
  );
  const layers = Array.from({ length: config.layers }, (_, layer) => [
    ...builder.attention(layer),
    ...builder.feedForward(layer),
  ]);
  const epilogue = builder.head();
  return {
    family: config.family,
    vocabSize: config.vocabSize,
    context,
    layerCount: config.layers,
    buffers: llamaBuffers(checkpoint),
    matrices: builder.matrices,
    vectors: builder.vectors,
    rope: { headDim: config.headDim, frequencies: ropeFrequencies(config) },
    cache: { kvHeads: config.kvHeads, headDim: config.headDim },
    prologue: [
      { kind: 'embed', name: 'embed', index: 'token', matrix: embed, output: 'x', range: 'residual' },
    ],
    layers,
    epilogue,
    logits: 'logits',
  };
}
