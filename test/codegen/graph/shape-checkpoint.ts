import type { Checkpoint } from '../../../codegen/checkpoint/checkpoint.js';
import type { LlamaConfig } from '../../../codegen/checkpoint/config.js';

/** A Llama of two layers, small, untied, with grouped queries. */
export const plainConfig: LlamaConfig = {
  family: 'llama',
  architecture: 'LlamaForCausalLM',
  vocabSize: 260,
  hiddenSize: 64,
  intermediateSize: 144,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 16,
  contextLength: 128,
  normEpsilon: 1e-5,
  ropeTheta: 10000,
  ropeScaling: { kind: 'default' },
  slidingWindow: null,
  qkNorm: false,
  tiedEmbedding: false,
  bosId: null,
  eosIds: [],
};

/** Shapes of the family that differ in what the graph and the arena look at. */
export const llamaShapes: Readonly<Record<string, Partial<LlamaConfig>>> = {
  plain: {},
  tied: { tiedEmbedding: true },
  'head_dim of its own': {
    hiddenSize: 96,
    heads: 6,
    kvHeads: 2,
    headDim: 24,
    vocabSize: 331,
    intermediateSize: 200,
  },
  'odd widths': {
    hiddenSize: 30,
    heads: 5,
    kvHeads: 1,
    headDim: 6,
    vocabSize: 37,
    intermediateSize: 77,
    layers: 3,
  },
  'q/k norms': { qkNorm: true, headDim: 32 },
  window: { slidingWindow: 32 },
  'one layer': { layers: 1 },
  'wide vocabulary': { vocabSize: 50_000 },
  'wide feed forward': { intermediateSize: 9000 },
};

/** A checkpoint that has names and shapes and no weights: enough to build graphs of. `biases` are tensor names. */
export function shapeCheckpoint(config: Partial<LlamaConfig>, biases: readonly string[] = []): Checkpoint {
  return {
    path: 'shape',
    format: 'huggingface',
    formatText: 'shape',
    name: 'shape',
    config: { ...plainConfig, ...config },
    tensors: new Map(biases.map((name) => [name, { name, dtype: 'F32', shape: [1] }])),
    readRows: (name) => {
      throw new Error(`${name} has no weights`);
    },
    sha256: () => '',
    close: () => {},
  };
}
