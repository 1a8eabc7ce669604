import type { JsonObject } from '../json-object.js';
import type { TensorEntry } from '../tensor-entry.js';

/** Heads of causal crystals: the public implementation compiles them in, and its files do not name them. */
const causalHeads = 4;

/**
 * The settings of a crystal as its config.json would have them, or null for other models: the training script saves
 * vocab_size, embed_dim and num_neurons, the rest follows from the shapes of the tensors.
 */
export function crystalSettings(
  own: JsonObject,
  tensors: ReadonlyMap<string, TensorEntry>,
): JsonObject | null {
  if (own.embed_dim === undefined || own.num_neurons === undefined) return null;
  const causal = [...tensors.keys()].some((name) => name.startsWith('causal_attn.'));
  return {
    model_type: causal ? 'causal-crystal' : 'crystal',
    context_length: tensors.get('pos_embed.weight')?.shape[0],
    ffn_dim: tensors.get('ffn.0.weight')?.shape[0],
    num_heads: causal ? causalHeads : 0,
    ...own,
  };
}
