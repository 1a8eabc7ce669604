/** A quantized model of the llama family as a Hugging Face folder in the format pack-quantized of compressed-tensors. */
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import type { LlamaConfig } from '../checkpoint/config.js';
import type { Graph, MatrixInfo } from '../graph/graph.js';
import { unrotatedRows } from '../graph/rotate-inputs.js';
import { formats, GROUP, groupsPerRow } from '../quantize/format.js';
import { dequantizeRow, type QuantizedMatrix, rowScale } from '../quantize/matrix.js';
import type { PlannedTensor } from './safetensors-file.js';

/** One scheme for all packed matrices: what the reader of such folders, and that of vLLM, expects. */
export interface PackScheme {
  readonly bits: 4 | 8;
  /** Columns of a group, or null for a scale a row. */
  readonly groupSize: number | null;
}

/**
 * Matrices that are packed: projections. Embedding and head stay float32, as such folders have them, and so do matrices for inputs that
 * were turned: other programs do not turn them.
 */
function isPacked({ tensor, rotationStages }: MatrixInfo): boolean {
  return /_proj\.weight$/.test(tensor) && rotationStages === undefined;
}

/** Modules whose weights are not packed, as `ignore` of quantization_config names them. */
export function unpackedModules(graph: Graph): string[] {
  const turned = graph.matrices.filter(({ rotationStages }) => rotationStages !== undefined);
  return ['lm_head', ...turned.map(({ tensor }) => tensor.replace(/\.weight$/, ''))];
}

/** 4 bits if all projections fit them, groups if one has them; null where a format has more than 8 bits. */
export function packScheme(graph: Graph, matrices: ReadonlyMap<string, QuantizedMatrix>): PackScheme | null {
  const used = graph.matrices.filter(isPacked).map(({ name }) => formats[matrices.get(name)!.format]);
  if (used.some(({ bits }) => bits > 8)) return null;
  return {
    bits: used.every(({ bits }) => bits <= 4) ? 4 : 8,
    groupSize: used.some(({ grouped }) => grouped) ? GROUP : null,
  };
}

/** What it costs that other programs do not turn inputs. */
export interface TurnedProjections {
  /** Projections that are written as float32, because the model turns their inputs. */
  readonly matrices: number;
  readonly bytes: number;
  /** Bytes that they would take if they were packed as the others are. */
  readonly packedBytes: number;
}

/** The projections with turned inputs, which `packedTensors` writes as float32. */
export function turnedProjections(graph: Graph, scheme: PackScheme): TurnedProjections {
  const turned = graph.matrices.filter(({ rotationStages }) => rotationStages !== undefined);
  const sum = (bytesOf: (matrix: MatrixInfo) => number) =>
    turned.reduce((total, matrix) => total + bytesOf(matrix), 0);
  return {
    matrices: turned.length,
    bytes: sum(({ rows, columns }) => 4 * rows * columns),
    packedBytes: sum(({ rows, columns }) => {
      const { words, groups } = packedRow(columns, scheme);
      return 4 * rows * (words + groups) + SHAPE_BYTES;
    }),
  };
}

/** Packed matrices whose last group is not full: compressed-tensors (0.20) refuses them, embed-model reads them. */
export function unevenGroups(graph: Graph, { groupSize }: PackScheme): string[] {
  if (groupSize === null) return [];
  const uneven = graph.matrices.filter((info) => isPacked(info) && info.columns % groupSize !== 0);
  return uneven.map(({ tensor }) => tensor);
}

/** All tensors of the folder. Codes are the integers of the model; scales are theirs, rounded to float32. */
export function packedTensors(
  graph: Graph,
  matrices: ReadonlyMap<string, QuantizedMatrix>,
  checkpoint: Checkpoint,
  scheme: PackScheme,
): PlannedTensor[] {
  const tensors = graph.matrices.flatMap((info) => {
    const matrix = matrices.get(info.name)!;
    return isPacked(info) ? packed(info.tensor, matrix, scheme) : [floats(info, matrix)];
  });
  const vectors = graph.vectors.map(({ tensor, length }): PlannedTensor => {
    const bytes = () => new Uint8Array(checkpoint.readRows(tensor, 0, length).slice().buffer);
    return { name: tensor, dtype: 'F32', shape: [length], bytes };
  });
  return [...tensors, ...vectors];
}

/** Bytes of the tensor that holds the two sizes of a packed matrix. */
const SHAPE_BYTES = 16;

/** int32 words and float32 scales of a packed row. */
function packedRow(columns: number, { bits, groupSize }: PackScheme): { words: number; groups: number } {
  return {
    words: Math.ceil((columns * bits) / 32),
    groups: groupSize === null ? 1 : groupsPerRow(columns),
  };
}

function packed(tensor: string, matrix: QuantizedMatrix, scheme: PackScheme): PlannedTensor[] {
  const { rows, columns } = matrix;
  const { bits } = scheme;
  const perWord = 32 / bits;
  const { words, groups } = packedRow(columns, scheme);
  return [
    {
      name: `${tensor}_packed`,
      dtype: 'I32',
      shape: [rows, words],
      bytes() {
        const out = new Int32Array(rows * words);
        const offset = 2 ** (bits - 1);
        for (let i = 0; i < rows * columns; i++) {
          const [row, column] = [Math.floor(i / columns), i % columns];
          const at = row * words + Math.floor(column / perWord);
          out[at]! |= (matrix.integers[i]! + offset) << (bits * (column % perWord));
        }
        return new Uint8Array(out.buffer);
      },
    },
    {
      name: `${tensor}_scale`,
      dtype: 'F32',
      shape: [rows, groups],
      bytes() {
        const own = groupsPerRow(columns);
        const scale = (i: number) => {
          const [row, group] = [Math.floor(i / groups), i % groups];
          return (
            rowScale(matrix, row) * (matrix.subScales === null ? 1 : matrix.subScales[row * own + group]!)
          );
        };
        return new Uint8Array(Float32Array.from({ length: rows * groups }, (_, i) => scale(i)).buffer);
      },
    },
    {
      name: `${tensor}_shape`,
      dtype: 'I64',
      shape: [2],
      bytes: () => new Uint8Array(BigInt64Array.of(BigInt(rows), BigInt(columns)).buffer),
    },
  ];
}

function floats(info: MatrixInfo, matrix: QuantizedMatrix): PlannedTensor {
  const { rows, columns } = matrix;
  return {
    name: info.tensor,
    dtype: 'F32',
    shape: [rows, columns],
    bytes() {
      const out = new Float32Array(rows * columns);
      for (let row = 0; row < rows; row++)
        dequantizeRow(matrix, row, out.subarray(row * columns, (row + 1) * columns));
      return new Uint8Array(unrotatedRows(out, info).buffer as ArrayBuffer);
    },
  };
}

/** quantization_config of such a folder, which also stands in quantization_config.json. */
export function quantizationConfig(
  { bits, groupSize }: PackScheme,
  ignore: readonly string[] = ['lm_head'],
): object {
  const strategy =
    groupSize === null ? { strategy: 'channel' } : { strategy: 'group', group_size: groupSize };
  const weights = { num_bits: bits, type: 'int', symmetric: true, dynamic: false, ...strategy };
  const group = { targets: ['Linear'], weights, input_activations: null, output_activations: null };
  return {
    quant_method: 'compressed-tensors',
    format: 'pack-quantized',
    quantization_status: 'compressed',
    config_groups: { group_0: group },
    ignore,
  };
}

const modelTypes: Readonly<Record<string, string>> = {
  LlamaForCausalLM: 'llama',
  MistralForCausalLM: 'mistral',
  Qwen2ForCausalLM: 'qwen2',
  Qwen3ForCausalLM: 'qwen3',
};

/** config.json for the decoder, in the terms of transformers. Checkpoints of llama2.c become Llama models. */
export function huggingFaceConfig(config: LlamaConfig): Record<string, unknown> {
  const architecture = Object.hasOwn(modelTypes, config.architecture)
    ? config.architecture
    : 'LlamaForCausalLM';
  const { ropeScaling: scaling, slidingWindow } = config;
  const llama3 = scaling.kind === 'llama3' && {
    rope_type: 'llama3',
    factor: scaling.factor,
    low_freq_factor: scaling.lowFrequencyFactor,
    high_freq_factor: scaling.highFrequencyFactor,
    original_max_position_embeddings: scaling.originalContext,
  };
  const linear = scaling.kind === 'linear' && { rope_type: 'linear', factor: scaling.factor };
  const windowed = architecture.startsWith('Qwen')
    ? { use_sliding_window: slidingWindow !== null, max_window_layers: 0 }
    : {};
  const hasWindow = slidingWindow !== null || architecture === 'MistralForCausalLM';
  return {
    architectures: [architecture],
    model_type: modelTypes[architecture],
    hidden_act: 'silu',
    vocab_size: config.vocabSize,
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.kvHeads,
    head_dim: config.headDim,
    max_position_embeddings: config.contextLength,
    rms_norm_eps: config.normEpsilon,
    rope_theta: config.ropeTheta,
    rope_scaling: llama3 || linear || null,
    tie_word_embeddings: config.tiedEmbedding,
    bos_token_id: config.bosId,
    eos_token_id: [...config.eosIds],
    ...(hasWindow ? { sliding_window: slidingWindow } : {}),
    ...windowed,
  };
}
