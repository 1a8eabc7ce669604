import { EmbedError } from '../diagnostics/error.js';
import type { BoundedFile } from './bounded-file.js';
import type { Checkpoint } from './checkpoint.js';
import type { LlamaConfig } from './config.js';
import { FileCheckpoint } from './file-checkpoint.js';
import { FileSet } from './file-set.js';
import { limits, requireConsistentSizes } from './limits.js';
import type { StoredTensor } from './stored-tensor.js';

const headerBytes = 28;

/** Constants of llama2.c: run.c compiles them in, its files do not carry them. */
const runC = {
  normEpsilon: 1e-5,
  ropeTheta: 10000,
  bosId: 1,
  // run.c ends a generated text at BOS (1), which stands between the texts it was trained on, and a turn of a
  // chat at EOS (2). A model made for either stops at its own.
  eosIds: [1, 2],
} as const;

/**
 * Opens a checkpoint of llama2.c, version 0 (legacy_export of its export.py): a header of seven int32, then
 * float32 matrices, all little-endian. Tensors get their Hugging Face names, and the rows of q and k the
 * order that goes with these names. Throws EM1001 for reading, EM1018 when header or size are not those of
 * such a file, EM1006 for limits.
 */
export function openLlama2c(path: string): Checkpoint {
  return FileSet.build((files) => {
    const file = files.open(path);
    const { config, trainedContext } = readHeader(file);
    return new FileCheckpoint(path, 'llama2c', config, locateTensors(file, config, trainedContext), files);
  });
}

function readHeader(file: BoundedFile): { config: LlamaConfig; trainedContext: number } {
  if (file.size < headerBytes) {
    throw damaged(file, `has ${file.size} bytes; the header alone takes ${headerBytes}`);
  }
  const header = new Uint8Array(headerBytes);
  file.read(0, header);
  const view = new DataView(header.buffer);
  const field = (index: number, name: string, most: number): number => {
    const value = view.getInt32(4 * index, true);
    if (value < 1 || value > most) throw damaged(file, `${name} is ${value}; expected: 1 to ${most}`);
    return value;
  };
  const signedVocab = view.getInt32(20, true);
  const vocabSize = Math.abs(signedVocab);
  if (vocabSize < 1 || vocabSize > limits.vocabSize) {
    throw damaged(file, `vocab_size is ${signedVocab}; expected: 1 to ${limits.vocabSize}, or negated`);
  }
  const hiddenSize = field(0, 'dim', limits.hiddenSize);
  const heads = field(3, 'n_heads', limits.heads);
  const trainedContext = field(6, 'seq_len', 2 ** 31 - 1);
  if (hiddenSize % heads !== 0)
    throw damaged(file, `dim ${hiddenSize} is not a multiple of n_heads ${heads}`);
  const config: LlamaConfig = {
    family: 'llama',
    architecture: 'llama2.c',
    vocabSize,
    hiddenSize,
    intermediateSize: field(1, 'hidden_dim', limits.intermediateSize),
    layers: field(2, 'n_layers', limits.layers),
    heads,
    kvHeads: field(4, 'n_kv_heads', limits.heads),
    headDim: hiddenSize / heads,
    contextLength: Math.min(trainedContext, limits.contextLength),
    normEpsilon: runC.normEpsilon,
    ropeTheta: runC.ropeTheta,
    ropeScaling: { kind: 'default' },
    slidingWindow: null,
    qkNorm: false,
    // The sign of the vocabulary says whether the head shares the embedding.
    tiedEmbedding: signedVocab > 0,
    bosId: runC.bosId < vocabSize ? runC.bosId : null,
    eosIds: runC.eosIds.filter((id) => id < vocabSize),
  };
  requireConsistentSizes(file.path, config);
  return { config, trainedContext };
}

/** The tensors in the order of the file; the file must end where the last of them does. */
function locateTensors(
  file: BoundedFile,
  config: LlamaConfig,
  trainedContext: number,
): Map<string, StoredTensor> {
  const { vocabSize, hiddenSize, intermediateSize, layers, headDim } = config;
  const keys = config.kvHeads * headDim;
  const stored = new Map<string, StoredTensor>();
  let offset = headerBytes;
  const place = (name: string, shape: readonly number[], order?: StoredTensor['storedRow']) => {
    const tensor = { info: { name, dtype: 'F32', shape }, file, offset } as const;
    stored.set(name, order ? { ...tensor, storedRow: order } : tensor);
    offset += 4 * shape.reduce((product, size) => product * size, 1);
  };
  const placeLayers = (name: string, shape: readonly number[], order?: StoredTensor['storedRow']) => {
    for (let layer = 0; layer < layers; layer++) place(`model.layers.${layer}.${name}.weight`, shape, order);
  };
  const pairsToHalves = (row: number) => storedRopeRow(row, headDim);

  place('model.embed_tokens.weight', [vocabSize, hiddenSize]);
  placeLayers('input_layernorm', [hiddenSize]);
  placeLayers('self_attn.q_proj', [hiddenSize, hiddenSize], pairsToHalves);
  placeLayers('self_attn.k_proj', [keys, hiddenSize], pairsToHalves);
  placeLayers('self_attn.v_proj', [keys, hiddenSize]);
  placeLayers('self_attn.o_proj', [hiddenSize, hiddenSize]);
  placeLayers('post_attention_layernorm', [hiddenSize]);
  placeLayers('mlp.gate_proj', [intermediateSize, hiddenSize]);
  placeLayers('mlp.down_proj', [hiddenSize, intermediateSize]);
  placeLayers('mlp.up_proj', [intermediateSize, hiddenSize]);
  place('model.norm.weight', [hiddenSize]);
  // Cosines and sines of rope, [seq_len, headDim / 2] each, which run.c skips too.
  offset += 4 * trainedContext * headDim;
  if (!config.tiedEmbedding) place('lm_head.weight', [vocabSize, hiddenSize]);

  if (offset !== file.size) {
    throw damaged(file, `has ${file.size} bytes; a model of the sizes in its header has ${offset}`);
  }
  return stored;
}

/**
 * Where row `row` of a q or k matrix stands in the file. llama2.c rotates elements 2j and 2j + 1 of a head,
 * the Hugging Face names imply j and j + headDim / 2: the rows of each head change places, and every dot
 * product of a query and a key stays what it was.
 */
export function storedRopeRow(row: number, headDim: number): number {
  const half = headDim / 2;
  const within = row % headDim;
  return row - within + (within < half ? 2 * within : 2 * (within - half) + 1);
}

function damaged(file: BoundedFile, why: string): EmbedError {
  return new EmbedError('EM1018', { where: file.path, why });
}
