import type { JsonObject } from '../json-object.js';
import { rowsInHalves } from '../rope-row-order.js';
import type { TensorEntry } from '../tensor-entry.js';

/** Modules of a layer as Meta's and llama2.c's model.py name them, and as transformers does. */
const layerNames: Readonly<Record<string, string>> = {
  'attention_norm.weight': 'input_layernorm.weight',
  'attention.wq.weight': 'self_attn.q_proj.weight',
  'attention.wk.weight': 'self_attn.k_proj.weight',
  'attention.wv.weight': 'self_attn.v_proj.weight',
  'attention.wo.weight': 'self_attn.o_proj.weight',
  'ffn_norm.weight': 'post_attention_layernorm.weight',
  'feed_forward.w1.weight': 'mlp.gate_proj.weight',
  'feed_forward.w2.weight': 'mlp.down_proj.weight',
  'feed_forward.w3.weight': 'mlp.up_proj.weight',
};

const topNames: Readonly<Record<string, string>> = {
  'tok_embeddings.weight': 'model.embed_tokens.weight',
  'norm.weight': 'model.norm.weight',
  'output.weight': 'lm_head.weight',
};

/**
 * The checkpoint of llama2.c's train.py (and of Meta's Llama) in the terms of Hugging Face, or null where the
 * settings are of another model: dim, n_layers and n_heads name it. The rows of q and k change places, since this
 * model rotates pairs.
 */
export function fromLlamaNames(
  settings: JsonObject,
  tensors: ReadonlyMap<string, TensorEntry>,
): { settings: JsonObject; tensors: ReadonlyMap<string, TensorEntry> } | null {
  const { dim, n_layers: layers, n_heads: heads, vocab_size: vocabSize } = settings;
  if (dim === undefined || layers === undefined || heads === undefined) return null;
  const headDim = typeof dim === 'number' && typeof heads === 'number' ? dim / heads : 0;
  const named = new Map<string, TensorEntry>();
  for (const [name, entry] of tensors) {
    const layer = /^layers\.(\d+)\.(.+)$/.exec(name);
    const inLayer = layer === null ? undefined : layerNames[layer[2]!];
    const known = inLayer === undefined ? topNames[name] : `model.layers.${layer![1]}.${inLayer}`;
    const to = known ?? name;
    const paired = /\.self_attn\.[qk]_proj\.weight$/.test(to) && headDim >= 2 && headDim % 2 === 0;
    named.set(to, { ...(paired ? rowsInHalves(entry, headDim) : entry), name: to });
  }
  const [hidden] = named.get('model.layers.0.mlp.gate_proj.weight')?.shape ?? [];
  return {
    tensors: named,
    settings: {
      architectures: ['LlamaForCausalLM'],
      model_type: 'llama',
      hidden_size: dim,
      num_hidden_layers: layers,
      num_attention_heads: heads,
      num_key_value_heads: settings.n_kv_heads ?? heads,
      vocab_size: vocabSize,
      intermediate_size: hidden,
      max_position_embeddings: settings.max_seq_len,
      rms_norm_eps: settings.norm_eps ?? 1e-5,
      rope_theta: settings.rope_theta ?? 10000,
      // output.weight is a second name of the embedding in llama2.c; a differing one is refused.
      tie_word_embeddings: settings.tie_word_embeddings ?? true,
      bos_token_id: 1,
      eos_token_id: [1, 2],
    },
  };
}
