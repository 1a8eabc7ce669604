/** Writes llama2.c files, as legacy_export, version1_export and version2_export of its export.py do. */
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

/** Codes and scales as version 2 has them: the largest of a group becomes 127. */
export function quantizeGroups(
  values: Float32Array,
  groupSize: number,
): { codes: Int8Array; scales: Float32Array } {
  const scales = new Float32Array(values.length / groupSize);
  for (let g = 0; g < scales.length; g++) {
    const group = values.subarray(g * groupSize, (g + 1) * groupSize);
    scales[g] = group.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 127;
  }
  const codes = Int8Array.from(values, (value, i) => Math.round(value / scales[Math.floor(i / groupSize)]!));
  return { codes, scales };
}

const normNames = ['rms_att_weight', 'rms_ffn_weight', 'rms_final_weight'];
const matrixNames = ['token_embedding_table', 'wq', 'wk', 'wv', 'wo', 'w1', 'w2', 'w3', 'wcls'];

/**
 * The bytes of a file of version 1, or 2 with this group size, with the values of writeLlama2c. What stands in a
 * matrix of version 2 is returned as the numbers that codes and scales make.
 */
export function writeVersioned(
  header: Llama2cHeader,
  version: 1 | 2,
  groupSize = 4,
): { bytes: Buffer; matrices: Record<string, Float32Array> } {
  const { matrices } = writeLlama2c(header);
  const start = Buffer.alloc(256);
  start.writeUInt32LE(0x616b3432, 0);
  start.writeInt32LE(version, 4);
  const { dim, hidden, layers, heads, kvHeads, vocab, seq } = header;
  [dim, hidden, layers, heads, kvHeads, Math.abs(vocab), seq].forEach((value, i) => {
    start.writeInt32LE(value, 8 + 4 * i);
  });
  start.writeUInt8(vocab > 0 ? 1 : 0, 36);
  if (version === 2) start.writeInt32LE(groupSize, 37);
  const parts: Uint8Array[] = [start];
  for (const name of normNames) parts.push(bytesOf(matrices[name]!));
  for (const name of matrixNames) {
    const all = matrices[name];
    if (all === undefined) continue;
    if (version === 1) {
      parts.push(bytesOf(all));
      continue;
    }
    // A matrix of every layer by itself: its codes, then its scales.
    const count = /^w[qkvo123]$/.test(name) ? layers : 1;
    const restored = new Float32Array(all.length);
    for (let layer = 0; layer < count; layer++) {
      const from = (layer * all.length) / count;
      const { codes, scales } = quantizeGroups(all.subarray(from, from + all.length / count), groupSize);
      parts.push(bytesOf(codes), bytesOf(scales));
      codes.forEach((code, i) => {
        restored[from + i] = code * scales[Math.floor(i / groupSize)]!;
      });
    }
    matrices[name] = restored;
  }
  return { bytes: Buffer.concat(parts), matrices };
}

function bytesOf(values: Float32Array | Int8Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
