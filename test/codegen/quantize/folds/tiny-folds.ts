/** Small checkpoints of every family, for tests of what can be folded into them. */
import type { Checkpoint } from '../../../../codegen/checkpoint/checkpoint.js';
import { openCheckpoint } from '../../../../codegen/checkpoint/open.js';
import { writeCrystalCheckpoint, writeGpt2Checkpoint } from '../../../end-to-end/tiny-families.js';
import { tinyTensor, writeTinyModel } from '../../checkpoint/tiny-model.js';

/** A Llama with as many key/value heads as query heads, biases of q, k and v, and a head of its own. */
export function writeUnsharedLlama(folder: string): string {
  const layers = [0, 1].flatMap((layer) => {
    const at = `model.layers.${layer}.self_attn`;
    return [
      ...['k', 'v'].map((name) => [`${at}.${name}_proj.weight`, [16, 16]] as const),
      ...['q', 'k', 'v'].map((name) => [`${at}.${name}_proj.bias`, [16]] as const),
    ];
  });
  const shapes = [...layers, ['lm_head.weight', [12, 16]] as const];
  const config = { num_key_value_heads: 4, tie_word_embeddings: false, architectures: ['Qwen2ForCausalLM'] };
  return writeTinyModel(folder, {
    config: { ...config, model_type: 'qwen2' },
    tensors: Object.fromEntries(shapes.map(([name, shape]) => [name, tinyTensor(name, shape)])),
  });
}

export const tinyFamilies = {
  'llama with shared heads': (folder: string) => openCheckpoint(writeTinyModel(folder)),
  'llama without': (folder: string) => openCheckpoint(writeUnsharedLlama(folder)),
  gpt2: (folder: string) => openCheckpoint(writeGpt2Checkpoint(folder, {})),
  crystal: (folder: string) => openCheckpoint(writeCrystalCheckpoint(folder, true)),
} as const satisfies Readonly<Record<string, (folder: string) => Checkpoint>>;
