/** Writes llama2.c version 0 files, as legacy_export of its export.py does. */
import { exactValues } from './safetensors-writer.js';

export interface Llama2cHeader {
  readonly dim: number;
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  /** Negative where the head has a matrix of its own. */
  readonly vocab: number;
  readonly seq: number;
}

/** 2 layers, 4 query and 2 key/value heads of 6 elements. */
export const tinyLlama2c: Llama2cHeader = {
  dim: 24,
  hidden: 10,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  vocab: 11,
  seq: 5,
};

/** The bytes of a file, and what each matrix of run.c holds, all layers of it together. */
export function writeLlama2c(header: Llama2cHeader): {
  bytes: Buffer;
  matrices: Record<string, Float32Array>;
} {
  const { dim, hidden, layers, heads, kvHeads, vocab, seq } = header;
  const kvDim = (dim / heads) * kvHeads;
  const sizes: Record<string, number> = {
    token_embedding_table: Math.abs(vocab) * dim,
    rms_att_weight: layers * dim,
    wq: layers * dim * dim,
    wk: layers * kvDim * dim,
    wv: layers * kvDim * dim,
    wo: layers * dim * dim,
    rms_ffn_weight: layers * dim,
    w1: layers * hidden * dim,
    w2: layers * dim * hidden,
    w3: layers * hidden * dim,
    rms_final_weight: dim,
    freq_cis_real: (seq * dim) / heads / 2,
    freq_cis_imag: (seq * dim) / heads / 2,
    ...(vocab < 0 ? { wcls: -vocab * dim } : {}),
  };
  const matrices: Record<string, Float32Array> = {};
  const parts: Uint8Array[] = [];
  const ints = Int32Array.of(dim, hidden, layers, heads, kvHeads, vocab, seq);
  parts.push(new Uint8Array(ints.buffer));
  Object.entries(sizes).forEach(([name, size], i) => {
    matrices[name] = exactValues(size, i + 1);
    parts.push(new Uint8Array(matrices[name].buffer));
  });
  return { bytes: Buffer.concat(parts), matrices };
}
