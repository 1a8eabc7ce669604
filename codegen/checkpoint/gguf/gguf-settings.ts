import { EmbedError } from '../../diagnostics/error.js';
import type { JsonObject } from '../json-object.js';
import type { GgufFile, GgufValue } from './read-gguf.js';

/** How an architecture of GGUF is called in transformers, and what differs in its files. */
export interface GgufArchitecture {
  readonly name: string;
  readonly huggingFace: string;
  readonly modelType: string;
  /** Rows of q and k are in the order for pairs (llama.cpp's converter permutes them for this architecture). */
  readonly pairedRope: boolean;
}

export const ggufArchitectures: readonly GgufArchitecture[] = [
  { name: 'llama', huggingFace: 'LlamaForCausalLM', modelType: 'llama', pairedRope: true },
  { name: 'qwen2', huggingFace: 'Qwen2ForCausalLM', modelType: 'qwen2', pairedRope: false },
  { name: 'qwen3', huggingFace: 'Qwen3ForCausalLM', modelType: 'qwen3', pairedRope: false },
  { name: 'gpt2', huggingFace: 'GPT2LMHeadModel', modelType: 'gpt2', pairedRope: false },
];

/** Keys, below the architecture's name, under which a model computes something that is not done here. */
const neutralValues: Readonly<Record<string, readonly GgufValue[]>> = {
  expert_count: [0],
  'attention.sliding_window': [0],
  'rope.scaling.attn_factor': [1],
  'attention.causal': [true],
  logit_scale: [1],
  embedding_scale: [1],
  residual_scale: [1],
  'attention.scale': [],
  use_parallel_residual: [false],
};

/**
 * The settings of a GGUF file in the terms of config.json. Throws EM1035 for architectures and settings that are
 * not supported.
 */
export function ggufSettings(
  path: string,
  gguf: GgufFile,
): { settings: JsonObject; architecture: GgufArchitecture } {
  const { metadata, tensors } = gguf;
  const name = metadata.get('general.architecture');
  const architecture = ggufArchitectures.find((known) => known.name === name);
  if (architecture === undefined) {
    const known = ggufArchitectures.map((each) => each.name).join(', ');
    throw unsupported(path, 'general.architecture', name, known);
  }
  const get = (key: string) => plainNumber(metadata.get(`${architecture.name}.${key}`));
  for (const [key, neutral] of Object.entries(neutralValues)) {
    const value = get(key);
    if (value !== undefined && !neutral.includes(value)) {
      throw unsupported(path, `${architecture.name}.${key}`, value, neutral.join(', ') || 'absent');
    }
  }
  const common = {
    architectures: [architecture.huggingFace],
    model_type: architecture.modelType,
    vocab_size: vocabSize(gguf),
    tie_word_embeddings: !tensors.has('output.weight'),
    bos_token_id: metadata.get('tokenizer.ggml.bos_token_id'),
    eos_token_id: endIds(metadata),
  };
  const own =
    architecture.name === 'gpt2' ? gpt2Settings(get) : llamaSettings(path, architecture, get, tensors);
  return { architecture, settings: defined({ ...common, ...own }) };
}

type Get = (key: string) => GgufValue | undefined;

function gpt2Settings(get: Get): JsonObject {
  return {
    n_positions: get('context_length'),
    n_embd: get('embedding_length'),
    n_inner: get('feed_forward_length'),
    n_layer: get('block_count'),
    n_head: get('attention.head_count'),
    layer_norm_epsilon: get('attention.layer_norm_epsilon'),
    // llama.cpp computes the tanh form for this architecture, whatever the model was trained with.
    activation_function: 'gelu_new',
  };
}

function llamaSettings(
  path: string,
  { name }: GgufArchitecture,
  get: Get,
  tensors: GgufFile['tensors'],
): JsonObject {
  const heads = get('attention.head_count');
  const hidden = get('embedding_length');
  const headDim = get('attention.key_length') ?? quotient(hidden, heads);
  for (const key of ['rope.dimension_count', 'attention.value_length']) {
    const value = get(key) ?? headDim;
    if (value !== headDim)
      throw unsupported(path, `${name}.${key}`, value, `the elements of a head, ${String(headDim)}`);
  }
  return {
    hidden_size: hidden,
    intermediate_size: get('feed_forward_length'),
    num_hidden_layers: get('block_count'),
    num_attention_heads: heads,
    num_key_value_heads: get('attention.head_count_kv') ?? heads,
    head_dim: headDim,
    max_position_embeddings: get('context_length'),
    rms_norm_eps: get('attention.layer_norm_rms_epsilon'),
    rope_theta: get('rope.freq_base') ?? 10000,
    rope_scaling: ropeFactors(path, headDim, tensors) ?? ropeScaling(path, name, get),
  };
}

/** Divisors of the frequencies, into which converters put the scaling of Llama 3 (rope.scaling.type stays none). */
function ropeFactors(
  path: string,
  headDim: GgufValue | undefined,
  tensors: GgufFile['tensors'],
): JsonObject | undefined {
  const entry = tensors.get('rope_freqs.weight');
  if (entry === undefined) return undefined;
  const count = Number(headDim) / 2;
  if (entry.shape.length !== 1 || entry.shape[0] !== count) {
    throw unsupported(path, 'rope_freqs.weight', `of shape ${entry.shape.join(' x ')}`, `${count} factors`);
  }
  return { rope_type: 'factors', factors: [...entry.readRows(0, count)] };
}

function ropeScaling(path: string, name: string, get: Get): JsonObject | undefined {
  // The key of older files.
  const factor = get('rope.scaling.factor') ?? get('rope.scale_linear') ?? 1;
  const type = get('rope.scaling.type') ?? (factor === 1 ? 'none' : 'linear');
  if (type === 'none') return undefined;
  if (type !== 'linear') throw unsupported(path, `${name}.rope.scaling.type`, type, 'none, linear');
  return { rope_type: 'linear', factor };
}

function quotient(a: GgufValue | undefined, b: GgufValue | undefined): number | undefined {
  return typeof a === 'number' && typeof b === 'number' ? a / b : undefined;
}

function vocabSize({ tensors, metadata }: GgufFile): number | undefined {
  const tokens = metadata.get('tokenizer.ggml.tokens');
  return tensors.get('token_embd.weight')?.shape[0] ?? (Array.isArray(tokens) ? tokens.length : undefined);
}

/** End of text and, where there is one, end of turn. */
function endIds(metadata: GgufFile['metadata']): GgufValue[] {
  const ids = ['eos', 'eot'].map((kind) => metadata.get(`tokenizer.ggml.${kind}_token_id`));
  return [...new Set(ids.filter((id) => id !== undefined))];
}

/**
 * 64-bit integers as numbers, and float32 as the decimal it was made from: 1e-5 is stored as 9.99999974737875e-6,
 * and config.json has the former.
 */
function plainNumber(value: GgufValue | undefined): GgufValue | undefined {
  if (typeof value === 'bigint') return Number(value);
  if (typeof value !== 'number' || Number.isInteger(value)) return value;
  const decimal = Number(value.toPrecision(7));
  return Math.fround(decimal) === value ? decimal : value;
}

function defined(settings: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}

function unsupported(path: string, key: string, value: unknown, supported: string): EmbedError {
  const why = `${key} is ${String(value).slice(0, 80)}; supported: ${supported}`;
  return new EmbedError('EM1035', { where: path, why });
}
