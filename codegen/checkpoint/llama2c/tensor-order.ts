import type { LlamaConfig } from '../config.js';

/** A tensor by its Hugging Face name; `paired` where the file rotates pairs (storedRopeRow). */
export interface PlacedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly paired: boolean;
}

function layered(
  config: LlamaConfig,
  name: string,
  shape: readonly number[],
  paired = false,
): PlacedTensor[] {
  return Array.from({ length: config.layers }, (_, layer) => ({
    name: `model.layers.${layer}.${name}.weight`,
    shape,
    paired,
  }));
}

function single(name: string, shape: readonly number[]): PlacedTensor {
  return { name, shape, paired: false };
}

interface Parts {
  readonly embedding: PlacedTensor;
  readonly attentionNorms: readonly PlacedTensor[];
  readonly attention: readonly PlacedTensor[];
  readonly feedForwardNorms: readonly PlacedTensor[];
  /** w1, w2, w3 of run.c: gate, down, up. */
  readonly feedForward: readonly PlacedTensor[];
  readonly finalNorm: PlacedTensor;
  readonly head: readonly PlacedTensor[];
}

function partsOf(config: LlamaConfig): Parts {
  const { vocabSize, hiddenSize, intermediateSize } = config;
  const keys = config.kvHeads * config.headDim;
  return {
    embedding: single('model.embed_tokens.weight', [vocabSize, hiddenSize]),
    attentionNorms: layered(config, 'input_layernorm', [hiddenSize]),
    attention: [
      ...layered(config, 'self_attn.q_proj', [hiddenSize, hiddenSize], true),
      ...layered(config, 'self_attn.k_proj', [keys, hiddenSize], true),
      ...layered(config, 'self_attn.v_proj', [keys, hiddenSize]),
      ...layered(config, 'self_attn.o_proj', [hiddenSize, hiddenSize]),
    ],
    feedForwardNorms: layered(config, 'post_attention_layernorm', [hiddenSize]),
    feedForward: [
      ...layered(config, 'mlp.gate_proj', [intermediateSize, hiddenSize]),
      ...layered(config, 'mlp.down_proj', [hiddenSize, intermediateSize]),
      ...layered(config, 'mlp.up_proj', [intermediateSize, hiddenSize]),
    ],
    finalNorm: single('model.norm.weight', [hiddenSize]),
    head: config.tiedEmbedding ? [] : [single('lm_head.weight', [vocabSize, hiddenSize])],
  };
}

/** Version 0 has norms among the matrices, and the rope table between the last norm and the head. */
export function legacyOrder(config: LlamaConfig): {
  before: PlacedTensor[];
  head: readonly PlacedTensor[];
} {
  const parts = partsOf(config);
  const before = [
    parts.embedding,
    ...parts.attentionNorms,
    ...parts.attention,
    ...parts.feedForwardNorms,
    ...parts.feedForward,
    parts.finalNorm,
  ];
  return { before, head: parts.head };
}

/** Versions 1 and 2 have all norms first, as float32, then the matrices. */
export function versionedOrder(config: LlamaConfig): { norms: PlacedTensor[]; matrices: PlacedTensor[] } {
  const parts = partsOf(config);
  return {
    norms: [...parts.attentionNorms, ...parts.feedForwardNorms, parts.finalNorm],
    matrices: [parts.embedding, ...parts.attention, ...parts.feedForward, ...parts.head],
  };
}
