import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  encodeFloats,
  exactValues,
  type HeaderEdit,
  type WrittenTensor,
  writeSafetensors,
} from './safetensors-writer.js';

export type Json = Record<string, unknown>;

/** A Llama of 2 layers, 4 query and 2 key/value heads of 4 elements, small enough to write in every test. */
export const tinyConfig: Json = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_act: 'silu',
  vocab_size: 12,
  hidden_size: 16,
  intermediate_size: 20,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  tie_word_embeddings: true,
  bos_token_id: 1,
  eos_token_id: 2,
};

/** Names and shapes of the tensors that `tinyConfig` demands, in an order of their own. */
export const tinyShapes: Readonly<Record<string, readonly number[]>> = {
  'model.norm.weight': [16],
  ...Object.fromEntries(
    [0, 1].flatMap((layer) =>
      Object.entries({
        'input_layernorm.weight': [16],
        'mlp.down_proj.weight': [16, 20],
        'mlp.gate_proj.weight': [20, 16],
        'mlp.up_proj.weight': [20, 16],
        'post_attention_layernorm.weight': [16],
        'self_attn.k_proj.weight': [8, 16],
        'self_attn.o_proj.weight': [16, 16],
        'self_attn.q_proj.weight': [16, 16],
        'self_attn.v_proj.weight': [8, 16],
      }).map(([name, shape]) => [`model.layers.${layer}.${name}`, shape]),
    ),
  ),
  'model.embed_tokens.weight': [12, 16],
};

export function tinyTensor(
  name: string,
  shape: readonly number[],
  dtype: 'F32' | 'F16' | 'BF16' = 'BF16',
): WrittenTensor {
  return { dtype, shape, data: encodeFloats(dtype, tinyValues(name, shape)) };
}

/** What a tensor of the tiny model holds: a function of its name. */
export function tinyValues(name: string, shape: readonly number[]): Float32Array {
  const seed = [...name].reduce((sum, letter) => Math.imul(sum, 31) + letter.charCodeAt(0), 7);
  return exactValues(
    shape.reduce((product, size) => product * size, 1),
    seed,
  );
}

export function tinyTensors(shapes = tinyShapes): Record<string, WrittenTensor> {
  return Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, tinyTensor(name, shape)]));
}

export interface TinyChanges {
  readonly config?: Json;
  /** Tensors to add or replace; undefined removes one. */
  readonly tensors?: Readonly<Record<string, WrittenTensor | undefined>>;
  readonly header?: HeaderEdit;
}

/** Writes the tiny model, changed as asked, into `folder`, and returns the folder. */
export function writeTinyModel(folder: string, changes: TinyChanges = {}): string {
  mkdirSync(folder, { recursive: true });
  const tensors: Record<string, WrittenTensor> = {};
  for (const [name, tensor] of Object.entries({ ...tinyTensors(), ...changes.tensors })) {
    if (tensor) tensors[name] = tensor;
  }
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...tinyConfig, ...changes.config }));
  writeFileSync(join(folder, 'model.safetensors'), writeSafetensors(tensors, changes.header));
  return folder;
}

/** Writes the tiny model as two shards, a layer each, with their index, and returns the folder. */
export function writeTinyShards(folder: string, editIndex?: (weightMap: Json) => void): string {
  mkdirSync(folder, { recursive: true });
  const shardOf = (name: string) =>
    `model-0000${/layers\.1|norm\.weight$/.test(name) ? 2 : 1}-of-00002.safetensors`;
  const weightMap: Json = {};
  for (const shard of ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors']) {
    const names = Object.keys(tinyShapes).filter((name) => shardOf(name) === shard);
    for (const name of names) weightMap[name] = shard;
    const shapes = Object.fromEntries(names.map((name) => [name, tinyShapes[name]!]));
    writeFileSync(join(folder, shard), writeSafetensors(tinyTensors(shapes)));
  }
  editIndex?.(weightMap);
  writeFileSync(join(folder, 'config.json'), JSON.stringify(tinyConfig));
  const index = { metadata: { total_size: 0 }, weight_map: weightMap };
  writeFileSync(join(folder, 'model.safetensors.index.json'), JSON.stringify(index));
  return folder;
}
