/** Writes a GGUF file (version 3) of random weights in one block format, as llama.cpp's engines read it. */
import { closeSync, openSync, writeSync } from 'node:fs';
import type { Shape } from '../shapes.js';

/** Of 32 columns each: a float16 scale, then 4 bits or 8 a weight. Names and numbers are ggml's. */
export const ggufFormats = {
  q4_0: { type: 2, blockBytes: 18 },
  q8_0: { type: 8, blockBytes: 34 },
} as const;

export type GgufFormat = keyof typeof ggufFormats;

const F32 = 0;
const BLOCK_COLUMNS = 32;
const ALIGNMENT = 32;

/** Type numbers of metadata values. */
const UINT32 = 4;
const FLOAT32 = 6;
const STRING = 8;

interface GgufTensor {
  readonly name: string;
  /** Columns first. */
  readonly sizes: readonly number[];
}

/** Same shape and format, same bytes. Matrices are all in `format`, tied embeddings too; throws where a width is not of blocks. */
export function writeRandomGguf(path: string, shape: Shape, format: GgufFormat): void {
  const { dim, hidden } = shape;
  if (dim % BLOCK_COLUMNS !== 0 || hidden % BLOCK_COLUMNS !== 0) {
    throw new Error(`${format} takes widths of ${BLOCK_COLUMNS} columns; ${dim} and ${hidden} are not`);
  }
  const tensors = tensorsOf(shape);
  const file = openSync(path, 'w');
  try {
    const header = headerOf(shape, tensors, format);
    writeSync(file, header);
    writeSync(file, Buffer.alloc(padding(header.length)));
    for (const tensor of tensors) {
      const data = tensor.sizes.length === 1 ? gains(tensor.sizes[0]!) : randomBlocks(tensor, format);
      writeSync(file, data);
      writeSync(file, Buffer.alloc(padding(data.length)));
    }
  } finally {
    closeSync(file);
  }
}

function tensorsOf({ dim, hidden, layers, heads, kvHeads, vocab }: Shape): GgufTensor[] {
  const keys = (dim / heads) * kvHeads;
  const layer = (i: number): GgufTensor[] => [
    { name: `blk.${i}.attn_norm.weight`, sizes: [dim] },
    { name: `blk.${i}.attn_q.weight`, sizes: [dim, dim] },
    { name: `blk.${i}.attn_k.weight`, sizes: [dim, keys] },
    { name: `blk.${i}.attn_v.weight`, sizes: [dim, keys] },
    { name: `blk.${i}.attn_output.weight`, sizes: [dim, dim] },
    { name: `blk.${i}.ffn_norm.weight`, sizes: [dim] },
    { name: `blk.${i}.ffn_gate.weight`, sizes: [dim, hidden] },
    { name: `blk.${i}.ffn_up.weight`, sizes: [dim, hidden] },
    { name: `blk.${i}.ffn_down.weight`, sizes: [hidden, dim] },
  ];
  return [
    { name: 'token_embd.weight', sizes: [dim, vocab] },
    { name: 'output_norm.weight', sizes: [dim] },
    ...Array.from({ length: layers }, (_, i) => layer(i)).flat(),
  ];
}

function headerOf(shape: Shape, tensors: readonly GgufTensor[], format: GgufFormat): Buffer {
  const { dim, hidden, layers, heads, kvHeads, vocab, context } = shape;
  const metadata = [
    text('general.architecture', 'llama'),
    number('llama.context_length', context),
    number('llama.embedding_length', dim),
    number('llama.block_count', layers),
    number('llama.feed_forward_length', hidden),
    number('llama.attention.head_count', heads),
    number('llama.attention.head_count_kv', kvHeads),
    number('llama.rope.dimension_count', dim / heads),
    real('llama.attention.layer_norm_rms_epsilon', 1e-5),
    number('llama.vocab_size', vocab),
    // Speed needs no tokens; without them, none of a model's own need be made up.
    text('tokenizer.ggml.model', 'no_vocab'),
  ];
  let offset = 0;
  const infos = tensors.map(({ name, sizes }) => {
    const type = sizes.length === 1 ? F32 : ggufFormats[format].type;
    const info = Buffer.concat([string(name), u32(sizes.length), ...sizes.map(u64), u32(type), u64(offset)]);
    const bytes = bytesOf(sizes, format);
    offset += bytes + padding(bytes);
    return info;
  });
  const counts = [u32(3), u64(tensors.length), u64(metadata.length)];
  return Buffer.concat([Buffer.from('GGUF'), ...counts, ...metadata, ...infos]);
}

function bytesOf(sizes: readonly number[], format: GgufFormat): number {
  const [columns, rows] = sizes;
  return rows === undefined
    ? 4 * columns!
    : (columns! / BLOCK_COLUMNS) * rows * ggufFormats[format].blockBytes;
}

const gains = (count: number) => Buffer.from(new Float32Array(count).fill(1).buffer);

/** Bits of the linear congruential generator of Numerical Recipes, a scale that keeps activations small in every block. */
function randomBlocks({ sizes }: GgufTensor, format: GgufFormat): Buffer {
  const { blockBytes } = ggufFormats[format];
  const data = Buffer.alloc(bytesOf(sizes, format));
  let state = sizes[0]! * 31 + sizes[1]!;
  for (let at = 0; at < data.length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[at] = state >>> 24;
  }
  // 2^-8 for 4 bits, 2^-12 for 8, as float16.
  const scale = format === 'q4_0' ? 0x1c00 : 0x0c00;
  for (let block = 0; block < data.length; block += blockBytes) data.writeUInt16LE(scale, block);
  return data;
}

const padding = (bytes: number) => (ALIGNMENT - (bytes % ALIGNMENT)) % ALIGNMENT;

const text = (key: string, value: string) => Buffer.concat([string(key), u32(STRING), string(value)]);
const number = (key: string, value: number) => Buffer.concat([string(key), u32(UINT32), u32(value)]);

function real(key: string, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return Buffer.concat([string(key), u32(FLOAT32), bytes]);
}

function string(value: string): Buffer {
  const bytes = Buffer.from(value, 'utf8');
  return Buffer.concat([u64(bytes.length), bytes]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
