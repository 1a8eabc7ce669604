import type { LlamaConfig } from './config.js';

/** Whether biases must, may or must not stand beside weights. */
export type Presence = 'required' | 'optional' | 'forbidden';

export interface BiasDemand {
  readonly qkv: Presence;
  readonly o: Presence;
  readonly mlp: Presence;
}

export interface TensorDemand {
  readonly name: string;
  readonly shape: readonly number[];
  readonly presence: Presence;
}

/**
 * The tensors of a decoder of the llama family by their Hugging Face names, linear weights as [outputs,
 * inputs]. lm_head.weight is among them only where the head does not share the embedding.
 */
export function llamaTensors(config: LlamaConfig, biases: BiasDemand): TensorDemand[] {
  const { vocabSize, hiddenSize } = config;
  const demands = [required('model.embed_tokens.weight', vocabSize, hiddenSize)];
  for (let layer = 0; layer < config.layers; layer++) {
    demands.push(...layerTensors(`model.layers.${layer}`, config, biases));
  }
  demands.push(required('model.norm.weight', hiddenSize));
  if (!config.tiedEmbedding) demands.push(...linear('lm_head', vocabSize, hiddenSize, 'optional'));
  return demands;
}

function layerTensors(layer: string, config: LlamaConfig, biases: BiasDemand): TensorDemand[] {
  const { hiddenSize, intermediateSize, headDim, qkNorm } = config;
  const queries = config.heads * headDim;
  const keys = config.kvHeads * headDim;
  const attention = `${layer}.self_attn`;
  return [
    required(`${layer}.input_layernorm.weight`, hiddenSize),
    ...linear(`${attention}.q_proj`, queries, hiddenSize, biases.qkv),
    ...linear(`${attention}.k_proj`, keys, hiddenSize, biases.qkv),
    ...linear(`${attention}.v_proj`, keys, hiddenSize, biases.qkv),
    ...linear(`${attention}.o_proj`, hiddenSize, queries, biases.o),
    ...(qkNorm
      ? [required(`${attention}.q_norm.weight`, headDim), required(`${attention}.k_norm.weight`, headDim)]
      : []),
    required(`${layer}.post_attention_layernorm.weight`, hiddenSize),
    ...linear(`${layer}.mlp.gate_proj`, intermediateSize, hiddenSize, biases.mlp),
    ...linear(`${layer}.mlp.up_proj`, intermediateSize, hiddenSize, biases.mlp),
    ...linear(`${layer}.mlp.down_proj`, hiddenSize, intermediateSize, biases.mlp),
  ];
}

function required(name: string, ...shape: number[]): TensorDemand {
  return { name, shape, presence: 'required' };
}

function linear(name: string, outputs: number, inputs: number, bias: Presence): TensorDemand[] {
  return [
    required(`${name}.weight`, outputs, inputs),
    { name: `${name}.bias`, shape: [outputs], presence: bias },
  ];
}
