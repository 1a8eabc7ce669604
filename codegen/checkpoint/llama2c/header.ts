import { EmbedError } from '../../diagnostics/error.js';
import type { BoundedFile } from '../bounded-file.js';
import type { LlamaConfig } from '../config.js';
import { limits, requireConsistentSizes } from '../limits.js';

/** "ak42", which llama2.c writes as a little-endian integer: versions 1 and up begin with it. */
const magic = 0x616b3432;
const legacyBytes = 28;
/** Versions 1 and 2 fill their header up to here. */
const paddedBytes = 256;

/** Constants of llama2.c: run.c compiles them in, its files do not carry them. */
const runC = {
  normEpsilon: 1e-5,
  ropeTheta: 10000,
  bosId: 1,
  // run.c ends a generated text at BOS (1), which stands between the texts it was trained on, and a turn of a
  // chat at EOS (2). A model made for either stops at its own.
  eosIds: [1, 2],
} as const;

export interface Llama2cHeader {
  /** 0: float32, no mark; 1: float32; 2: Q8_0. */
  readonly version: 0 | 1 | 2;
  readonly config: LlamaConfig;
  /** As the header says it, not cut to what is kept. */
  readonly trainedContext: number;
  /** Codes that share a scale, in version 2. */
  readonly groupSize: number;
  /** Where the weights begin. */
  readonly bytes: number;
}

/** Seven int32: dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size, seq_len. */
type Sizes = readonly [number, number, number, number, number, number, number];

/**
 * Reads the header of any version. Throws EM1018 when it is not one, EM1006 when the model is beyond the
 * limits.
 */
export function readLlama2cHeader(file: BoundedFile): Llama2cHeader {
  const start = readStart(file, legacyBytes);
  if (start.getUint32(0, true) !== magic) {
    const sizes = sizesAt(start, 0);
    // The sign of the vocabulary says whether the head shares the embedding.
    const tied = sizes[5] > 0;
    const absolute: Sizes = [...sizes.slice(0, 5), Math.abs(sizes[5]), sizes[6]] as unknown as Sizes;
    return {
      version: 0,
      config: configOf(file, absolute, sizes[5], tied),
      trainedContext: sizes[6],
      groupSize: 0,
      bytes: legacyBytes,
    };
  }
  const version = start.getInt32(4, true);
  if (version !== 1 && version !== 2) {
    throw damaged(file, `is of version ${version}; versions 0, 1 and 2 are read`);
  }
  const view = readStart(file, paddedBytes);
  const sizes = sizesAt(view, 8);
  const shared = view.getUint8(36);
  if (shared > 1) throw damaged(file, `shared_classifier is ${shared}; expected: 0 or 1`);
  const groupSize = version === 2 ? view.getInt32(37, true) : 0;
  if (version === 2 && groupSize < 1) throw damaged(file, `group_size is ${groupSize}; expected: from 1`);
  return {
    version,
    config: configOf(file, sizes, sizes[5], shared === 1),
    trainedContext: sizes[6],
    groupSize,
    bytes: paddedBytes,
  };
}

/** EM1018. */
export function damaged(file: BoundedFile, why: string): EmbedError {
  return new EmbedError('EM1018', { where: file.path, why });
}

function readStart(file: BoundedFile, bytes: number): DataView {
  if (file.size < bytes) throw damaged(file, `has ${file.size} bytes; the header alone takes ${bytes}`);
  const header = new Uint8Array(bytes);
  file.read(0, header);
  return new DataView(header.buffer);
}

function sizesAt(view: DataView, at: number): Sizes {
  const size = (index: number) => view.getInt32(at + 4 * index, true);
  return [size(0), size(1), size(2), size(3), size(4), size(5), size(6)];
}

function configOf(file: BoundedFile, sizes: Sizes, writtenVocab: number, tied: boolean): LlamaConfig {
  const within = (value: number, name: string, most: number): number => {
    if (value < 1 || value > most) throw damaged(file, `${name} is ${value}; expected: 1 to ${most}`);
    return value;
  };
  const vocabSize = sizes[5];
  if (vocabSize < 1 || vocabSize > limits.vocabSize) {
    throw damaged(file, `vocab_size is ${writtenVocab}; expected: 1 to ${limits.vocabSize}`);
  }
  const hiddenSize = within(sizes[0], 'dim', limits.hiddenSize);
  const heads = within(sizes[3], 'n_heads', limits.heads);
  const trainedContext = within(sizes[6], 'seq_len', 2 ** 31 - 1);
  if (hiddenSize % heads !== 0) {
    throw damaged(file, `dim ${hiddenSize} is not a multiple of n_heads ${heads}`);
  }
  const config: LlamaConfig = {
    family: 'llama',
    architecture: 'llama2.c',
    vocabSize,
    hiddenSize,
    intermediateSize: within(sizes[1], 'hidden_dim', limits.intermediateSize),
    layers: within(sizes[2], 'n_layers', limits.layers),
    heads,
    kvHeads: within(sizes[4], 'n_kv_heads', limits.heads),
    headDim: hiddenSize / heads,
    contextLength: Math.min(trainedContext, limits.contextLength),
    normEpsilon: runC.normEpsilon,
    ropeTheta: runC.ropeTheta,
    ropeScaling: { kind: 'default' },
    slidingWindow: null,
    qkNorm: false,
    tiedEmbedding: tied,
    bosId: runC.bosId < vocabSize ? runC.bosId : null,
    eosIds: runC.eosIds.filter((id) => id < vocabSize),
  };
  requireConsistentSizes(file.path, config);
  return config;
}
