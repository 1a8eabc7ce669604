import { encodeFloats, type WrittenTensor } from './safetensors-writer.js';
import { type Json, tinyValues } from './tiny-model.js';

/** How the tiny GPT-2 is written: two layers of two heads; width 6, inner width 9, 20 positions, 11 tokens unless said. */
export interface TinyGpt2 {
  readonly sizes?: {
    readonly width: number;
    readonly inner: number;
    readonly positions: number;
    readonly vocab: number;
  };
  /** What stands before names; nothing unless said. */
  readonly prefix?: string;
  /** As nanoGPT does: matrices [outputs, inputs], its own config. */
  readonly nano?: boolean;
  /** Whether there are biases; yes unless said. */
  readonly biases?: boolean;
}

const smallest = { width: 6, inner: 9, positions: 20, vocab: 11 };

export function tinyGpt2Config({
  sizes: { width, inner, positions, vocab } = smallest,
  nano = false,
}: TinyGpt2): Json {
  const sizes = { vocab_size: vocab, n_embd: width, n_head: 2, n_layer: 2, n_inner: inner };
  if (nano) return { ...sizes, block_size: positions };
  const names = { architectures: ['GPT2LMHeadModel'], model_type: 'gpt2', activation_function: 'gelu_new' };
  const ends = { bos_token_id: 1, eos_token_id: 2 };
  return {
    ...names,
    ...sizes,
    n_positions: positions,
    layer_norm_epsilon: 1e-5,
    ...ends,
    tie_word_embeddings: true,
  };
}

function written(values: Float32Array, shape: readonly number[]): WrittenTensor {
  return { dtype: 'F32', shape, data: encodeFloats('F32', values) };
}

/** [rows, columns] as [columns, rows]. */
function transpose(values: Float32Array, rows: number, columns: number): Float32Array {
  return Float32Array.from(
    { length: values.length },
    (_, i) => values[(i % rows) * columns + Math.floor(i / rows)]!,
  );
}

/** Its tensors; values are tinyValues of the module's name, matrices as [outputs, inputs] before they are transposed. */
export function tinyGpt2Tensors({
  sizes = smallest,
  prefix = '',
  nano = false,
  biases = true,
}: TinyGpt2): Record<string, WrittenTensor> {
  const tensors: Record<string, WrittenTensor> = {};
  const { width, inner, positions, vocab } = sizes;
  const linear = (name: string, value: string, outputs: number, inputs: number) => {
    const values = tinyValues(value, [outputs, inputs]);
    tensors[`${prefix}${name}.weight`] = nano
      ? written(values, [outputs, inputs])
      : written(transpose(values, outputs, inputs), [inputs, outputs]);
    if (biases) tensors[`${prefix}${name}.bias`] = written(tinyValues(`${value}.bias`, [outputs]), [outputs]);
  };
  const norm = (name: string) => {
    tensors[`${prefix}${name}.weight`] = written(
      tinyValues(name, [width]).map((v) => v + 1),
      [width],
    );
    if (biases) tensors[`${prefix}${name}.bias`] = written(tinyValues(`${name}.bias`, [width]), [width]);
  };
  tensors[`${prefix}wte.weight`] = written(tinyValues('wte', [vocab, width]), [vocab, width]);
  tensors[`${prefix}wpe.weight`] = written(tinyValues('wpe', [positions, width]), [positions, width]);
  for (const layer of [0, 1]) {
    norm(`h.${layer}.ln_1`);
    linear(`h.${layer}.attn.c_attn`, 'c_attn', 3 * width, width);
    linear(`h.${layer}.attn.c_proj`, 'attn.c_proj', width, width);
    norm(`h.${layer}.ln_2`);
    linear(`h.${layer}.mlp.c_fc`, 'c_fc', inner, width);
    linear(`h.${layer}.mlp.c_proj`, 'mlp.c_proj', width, inner);
  }
  norm('ln_f');
  return tensors;
}
