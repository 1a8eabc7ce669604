/** Writes a GPT-2 checkpoint of random weights as a Hugging Face folder: same shape and seed, same bytes. */
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { frame } from '../../codegen/checkpoint/safetensors-writer.js';
import { gains, matrix, type RandomTensor, RandomTensors } from '../random-tensors.js';

export interface Gpt2Shape {
  readonly width: number;
  readonly inner: number;
  readonly layers: number;
  readonly heads: number;
  readonly vocab: number;
  readonly positions: number;
}

interface NamedTensor extends RandomTensor {
  readonly name: string;
  readonly shape: readonly number[];
}

/** Of Conv1D's matrices, [inputs, outputs], as the checkpoints of OpenAI have them; biases are small, embedding and head are one. */
export function writeRandomGpt2(folder: string, shape: Gpt2Shape, seed: number): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'config.json'), JSON.stringify(configOf(shape)));
  const tensors = tensorsOf(shape);
  let offset = 0;
  const entries = tensors.map(({ name, shape: sizes, count }) => {
    const begin = offset;
    offset += 4 * count;
    return [name, { dtype: 'F32', shape: sizes, data_offsets: [begin, offset] }];
  });
  const random = new RandomTensors(seed);
  const file = openSync(join(folder, 'model.safetensors'), 'w');
  try {
    writeSync(file, frame(JSON.stringify(Object.fromEntries(entries))));
    for (const tensor of tensors) random.write(file, tensor);
  } finally {
    closeSync(file);
  }
}

function configOf({ width, inner, layers, heads, vocab, positions }: Gpt2Shape) {
  const names = { architectures: ['GPT2LMHeadModel'], model_type: 'gpt2', activation_function: 'gelu_new' };
  const sizes = { vocab_size: vocab, n_embd: width, n_head: heads, n_layer: layers, n_inner: inner };
  const ends = { bos_token_id: vocab - 1, eos_token_id: vocab - 1 };
  const rest = { n_positions: positions, layer_norm_epsilon: 1e-5, tie_word_embeddings: true };
  return { ...names, ...sizes, ...ends, ...rest };
}

function tensorsOf({ width, inner, layers, vocab, positions }: Gpt2Shape): NamedTensor[] {
  const bias = (count: number): RandomTensor => ({ count, limit: 0.02 });
  const linear = (name: string, inputs: number, outputs: number): NamedTensor[] => [
    { name: `${name}.weight`, shape: [inputs, outputs], ...matrix(outputs, inputs) },
    { name: `${name}.bias`, shape: [outputs], ...bias(outputs) },
  ];
  const norm = (name: string): NamedTensor[] => [
    { name: `${name}.weight`, shape: [width], ...gains(width) },
    { name: `${name}.bias`, shape: [width], ...bias(width) },
  ];
  const layer = (n: number) => [
    ...norm(`h.${n}.ln_1`),
    ...linear(`h.${n}.attn.c_attn`, width, 3 * width),
    ...linear(`h.${n}.attn.c_proj`, width, width),
    ...norm(`h.${n}.ln_2`),
    ...linear(`h.${n}.mlp.c_fc`, width, inner),
    ...linear(`h.${n}.mlp.c_proj`, inner, width),
  ];
  return [
    { name: 'wte.weight', shape: [vocab, width], ...matrix(vocab, width) },
    { name: 'wpe.weight', shape: [positions, width], ...bias(positions * width) },
    ...Array.from({ length: layers }, (_, n) => layer(n)).flat(),
    ...norm('ln_f'),
  ];
}
