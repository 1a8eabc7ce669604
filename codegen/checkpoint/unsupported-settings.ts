import type { Architecture } from './architectures.js';
import type { Settings } from './settings.js';

/**
 * Settings that change what a model computes and that are not computed here, with the values under which they
 * change nothing. Absent and null always count as such. transformers itself disregards several of them in the
 * supported architectures, but a config.json that has them was written for code that does not.
 */
const neutralValues: Readonly<Record<string, readonly unknown[]>> = {
  hidden_act: ['silu', 'swish'],
  hidden_activation: ['silu', 'swish'],
  // Rope over a part of a head, in other pairs, or not in all layers.
  partial_rotary_factor: [1],
  rotary_pct: [1],
  rope_interleaved: [false],
  rope_traditional: [false],
  rope_local_base_freq: [],
  no_rope_layers: [],
  no_rope_layer_interval: [],
  use_mrope: [false],
  alibi: [false],
  use_alibi: [false],
  // Products summed in slices, which rounds differently.
  pretraining_tp: [1],
  // Scales and caps on activations.
  attn_logit_softcapping: [],
  final_logit_softcapping: [],
  attention_multiplier: [],
  query_pre_attn_scalar: [],
  embedding_multiplier: [1],
  residual_multiplier: [1],
  logits_scaling: [1],
  logit_scale: [1],
  scale_emb: [1],
  scale_depth: [],
  clip_qkv: [],
  // Other attention and other blocks.
  attention_chunk_size: [],
  attn_output_gate: [false],
  use_parallel_residual: [false],
  num_kv_shared_layers: [0],
  kv_lora_rank: [],
  q_lora_rank: [],
  add_cross_attention: [false],
  is_encoder_decoder: [false],
  text_config: [],
  vision_config: [],
  // Mixtures of experts.
  num_experts: [0],
  num_local_experts: [0],
  n_routed_experts: [0],
  num_experts_per_tok: [0],
  // Weights that are not plain floats.
  quantization_config: [],
  compression_config: [],
};

/** Settings under which other libraries normalise queries and keys. */
const qkNormSettings = ['qk_norm', 'use_qk_norm', 'qk_layernorm'];

/** Throws EM1008 for the first setting in config.json that asks for arithmetic which is not done. */
export function refuseUnsupportedSettings(config: Settings, architecture: Architecture): void {
  for (const [key, neutral] of Object.entries(neutralValues)) {
    if (config.has(key) && !neutral.includes(config.get(key))) {
      throw config.unsupported(key, neutral.map((value) => JSON.stringify(value)).join(', ') || 'absent');
    }
  }
  for (const key of qkNormSettings) {
    if (config.has(key) && config.get(key) !== architecture.qkNorm) {
      throw config.unsupported(key, `${architecture.qkNorm} for ${architecture.name}`);
    }
  }
  if (config.object('auto_map')?.has('AutoModelForCausalLM')) {
    throw config.unsupported('auto_map', 'models without code of their own');
  }
}
