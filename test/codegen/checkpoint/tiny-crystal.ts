import { encodeFloats, type WrittenTensor } from './safetensors-writer.js';
import { type Json, tinyValues } from './tiny-model.js';

/** How a tiny crystal is written: 19 tokens, width 8, 6 neurons, 12 positions, inner width 10 unless said. */
export interface TinyCrystal {
  readonly sizes?: typeof smallest;
  /** Two heads of attention before the field. */
  readonly causal?: boolean;
}

const smallest = { vocab: 19, width: 8, neurons: 6, positions: 12, inner: 10 };

export function tinyCrystalConfig({ sizes = smallest, causal = false }: TinyCrystal): Json {
  return {
    model_type: causal ? 'causal-crystal' : 'crystal',
    vocab_size: sizes.vocab,
    embed_dim: sizes.width,
    num_neurons: sizes.neurons,
    context_length: sizes.positions,
    ffn_dim: sizes.inner,
    num_heads: causal ? 2 : 0,
    activation: 'gelu',
    layer_norm_eps: 1e-5,
    temperature_floor: 0.1,
    weight_sum_epsilon: 1e-8,
  };
}

/** Its tensors in the names and the order of the PyTorch module; values are tinyValues of their names, temperatures of both signs. */
export function tinyCrystalTensors({
  sizes = smallest,
  causal = false,
}: TinyCrystal): Record<string, WrittenTensor> {
  const { vocab, width, neurons, positions, inner } = sizes;
  const tensors: Record<string, WrittenTensor> = {};
  const put = (name: string, shape: readonly number[], change = (v: number) => v) => {
    const data = encodeFloats('F32', tinyValues(name, shape).map(change));
    tensors[name] = { dtype: 'F32', shape, data };
  };
  const linear = (name: string, rows: number, columns: number) => {
    put(`${name}.weight`, [rows, columns]);
    put(`${name}.bias`, [rows]);
  };
  const norm = (name: string) => {
    put(`${name}.weight`, [width], (v) => 1 + v);
    put(`${name}.bias`, [width]);
  };
  const field = causal ? 'geo_attn' : 'attention';
  put('token_embed.weight', [vocab, width]);
  put('pos_embed.weight', [positions, width]);
  if (causal) for (const name of ['q', 'k', 'v', 'out']) linear(`causal_attn.${name}_proj`, width, width);
  put(`${field}.positions`, [neurons, width]);
  put(`${field}.values`, [neurons, width]);
  put(`${field}.temperature`, [neurons], (v) => v / 4);
  tensors[`${field}.frozen`] = {
    dtype: 'BOOL',
    shape: [neurons],
    data: new Uint8Array(neurons),
  } as unknown as WrittenTensor;
  linear('ffn.0', inner, width);
  linear('ffn.2', width, inner);
  for (const name of causal ? ['norm_causal', 'norm_geo', 'norm_ffn'] : ['norm1', 'norm2']) norm(name);
  linear('head', vocab, width);
  return tensors;
}
