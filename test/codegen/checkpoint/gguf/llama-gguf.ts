/** A checkpoint of the llama family as llama.cpp's convert_hf_to_gguf.py names, orders and describes it. */
import type { Checkpoint } from '../../../../codegen/checkpoint/checkpoint.js';
import type { DecoderConfig } from '../../../../codegen/checkpoint/config.js';
import { encodeMatrix } from './block-encoders.js';
import type { Value, WrittenTensor } from './gguf-writer.js';

const ggufNames: readonly (readonly [RegExp, string])[] = [
  [/^model\.embed_tokens\.weight$/, 'token_embd.weight'],
  [/^model\.norm\.weight$/, 'output_norm.weight'],
  [/^lm_head\.weight$/, 'output.weight'],
  [/^model\.layers\.(\d+)\.input_layernorm\./, 'blk.$1.attn_norm.'],
  [/^model\.layers\.(\d+)\.post_attention_layernorm\./, 'blk.$1.ffn_norm.'],
  [/^model\.layers\.(\d+)\.self_attn\.([qkv])_proj\./, 'blk.$1.attn_$2.'],
  [/^model\.layers\.(\d+)\.self_attn\.([qk])_norm\./, 'blk.$1.attn_$2_norm.'],
  [/^model\.layers\.(\d+)\.self_attn\.o_proj\./, 'blk.$1.attn_output.'],
  [/^model\.layers\.(\d+)\.mlp\.(gate|up|down)_proj\./, 'blk.$1.ffn_$2.'],
];

export function ggufName(name: string): string {
  const [pattern, to] = ggufNames.find(([pattern]) => pattern.test(name))!;
  return name.replace(pattern, to);
}

/** LlamaModel.permute of the converter: reshape(heads, 2, headDim / 2, columns).swapaxes(1, 2). */
function permute(values: Float32Array, heads: number, columns: number): Float32Array {
  const half = values.length / columns / heads / 2;
  const out = new Float32Array(values.length);
  for (let head = 0; head < heads; head++) {
    for (let part = 0; part < 2; part++) {
      for (let i = 0; i < half; i++) {
        const from = (head * 2 + part) * half + i;
        const to = (head * half + i) * 2 + part;
        out.set(values.subarray(from * columns, (from + 1) * columns), to * columns);
      }
    }
  }
  return out;
}

export interface LlamaGguf {
  readonly metadata: Record<string, Value>;
  readonly tensors: WrittenTensor[];
  /** What must be read back, by Hugging Face names. */
  readonly expected: ReadonlyMap<string, Float32Array>;
}

/** `dtypeOf` says in which type a matrix is written; vectors are F32. */
export function llamaGguf(
  checkpoint: Checkpoint,
  dtypeOf: (name: string, columns: number) => string,
  architecture: 'llama' | 'qwen2' | 'qwen3' = 'llama',
): LlamaGguf {
  const { config } = checkpoint;
  const expected = new Map<string, Float32Array>();
  const tensors = [...checkpoint.tensors.values()].map(({ name, shape }) => {
    const [rows, columns] = [shape[0]!, shape[1] ?? 1];
    const dtype = shape.length === 1 ? 'F32' : dtypeOf(name, columns);
    const encoded = encodeMatrix(dtype, checkpoint.readRows(name, 0, rows));
    expected.set(name, encoded.values);
    // Whole rows change places, so a row's bytes can be moved as they are; what they stand for moves with them.
    const projection = /\.self_attn\.([qk])_proj\./.exec(name);
    const heads = projection?.[1] === 'q' ? config.heads : config.kvHeads;
    const moved =
      projection !== null && architecture === 'llama' ? moveRows(encoded.bytes, rows, heads) : encoded.bytes;
    return { name: ggufName(name), shape, type: encoded.type, bytes: moved };
  });
  return { metadata: llamaMetadata(config, architecture), tensors, expected };
}

function moveRows(bytes: Uint8Array, rows: number, heads: number): Uint8Array {
  const rowBytes = bytes.length / rows;
  const order = permute(
    Float32Array.from({ length: rows }, (_, row) => row),
    heads,
    1,
  );
  const moved = new Uint8Array(bytes.length);
  for (const [to, from] of order.entries()) {
    moved.set(bytes.subarray(from * rowBytes, (from + 1) * rowBytes), to * rowBytes);
  }
  return moved;
}

export function llamaMetadata(config: DecoderConfig, architecture: string): Record<string, Value> {
  if (config.family !== 'llama') throw new Error('not a llama');
  const key = (name: string) => `${architecture}.${name}`;
  return {
    'general.architecture': { text: architecture },
    'general.name': { text: 'made by a test' },
    [key('context_length')]: { u32: config.contextLength },
    [key('embedding_length')]: { u32: config.hiddenSize },
    [key('block_count')]: { u32: config.layers },
    [key('feed_forward_length')]: { u32: config.intermediateSize },
    [key('attention.head_count')]: { u32: config.heads },
    [key('attention.head_count_kv')]: { u32: config.kvHeads },
    [key('attention.key_length')]: { u32: config.headDim },
    [key('attention.value_length')]: { u32: config.headDim },
    [key('attention.layer_norm_rms_epsilon')]: { f32: config.normEpsilon },
    [key('rope.dimension_count')]: { u32: config.headDim },
    [key('rope.freq_base')]: { f32: config.ropeTheta },
    ...(config.bosId === null ? {} : { 'tokenizer.ggml.bos_token_id': { u32: config.bosId } }),
    ...(config.eosIds.length === 0 ? {} : { 'tokenizer.ggml.eos_token_id': { u32: config.eosIds[0]! } }),
  };
}
