/** The config.json of GPT-2 in transformers, and of nanoGPT. */
import type { GeluKind, Gpt2Config } from './config.js';
import { limits } from './limits.js';
import type { Settings } from './settings.js';

/** What transformers takes where config.json says nothing. */
const defaults = { activation: 'gelu_new', epsilon: 1e-5, endId: 50256 } as const;

const activations: Readonly<Record<string, GeluKind>> = {
  gelu_new: 'tanh',
  gelu_fast: 'tanh',
  gelu_pytorch_tanh: 'tanh',
  gelu: 'erf',
  gelu_python: 'erf',
};

/** Settings that ask for arithmetic which is not done, with the values under which they ask for nothing. */
const neutralValues: Readonly<Record<string, readonly unknown[]>> = {
  add_cross_attention: [false],
  is_encoder_decoder: [false],
  quantization_config: [],
  compression_config: [],
};

/** Whether a config.json is that of a GPT-2: by its architecture or model type, or by the keys of nanoGPT. */
export function isGpt2Config(config: Settings): boolean {
  const names = config.get('architectures');
  if (Array.isArray(names)) return names.length === 1 && names[0] === 'GPT2LMHeadModel';
  return config.get('model_type') === 'gpt2' || isNanoGpt(config);
}

/** nanoGPT names its model by nothing but its sizes. */
function isNanoGpt(config: Settings): boolean {
  return (
    !config.has('model_type') && config.has('block_size') && config.has('n_embd') && config.has('n_layer')
  );
}

/**
 * The decoder that a config.json of GPT-2 describes, with the defaults of transformers (https://huggingface.co/docs/transformers,
 * GPT2Config), or the model_args of nanoGPT: n_layer, n_head, n_embd, block_size, vocab_size. Throws EM1005 (key missing), EM1006
 * (value out of range), EM1008 (arithmetic not done).
 */
export function readGpt2Config(config: Settings, generation: Settings | null): Gpt2Config {
  for (const [key, neutral] of Object.entries(neutralValues)) {
    if (config.has(key) && !neutral.includes(config.get(key)))
      throw config.unsupported(key, neutral.map((value) => JSON.stringify(value)).join(', ') || 'absent');
  }
  const nano = isNanoGpt(config);
  const hiddenSize = config.integer('n_embd', 1, limits.hiddenSize);
  const heads = config.integer('n_head', 1, limits.heads);
  if (hiddenSize % heads !== 0 || hiddenSize / heads > limits.headDim) {
    const expected = `a divisor of n_embd (${hiddenSize}) that leaves heads of at most ${limits.headDim} elements`;
    throw config.unusable('n_head', expected);
  }
  const vocabSize = config.integer('vocab_size', 1, limits.vocabSize);
  return {
    family: 'gpt2',
    architecture: nano ? 'nanoGPT' : 'GPT2LMHeadModel',
    vocabSize,
    hiddenSize,
    intermediateSize: config.has('n_inner')
      ? config.integer('n_inner', 1, limits.intermediateSize)
      : 4 * hiddenSize,
    layers: config.integer('n_layer', 1, limits.layers),
    heads,
    kvHeads: heads,
    headDim: hiddenSize / heads,
    contextLength: config.integer(nano ? 'block_size' : 'n_positions', 1, limits.contextLength),
    normEpsilon: config.has('layer_norm_epsilon')
      ? config.number('layer_norm_epsilon', Number.MIN_VALUE, 1)
      : defaults.epsilon,
    gelu: readActivation(config, nano),
    // reorder_and_upcast_attn changes how a float rounds, nothing else.
    scoreDivisor: {
      headDim: config.boolean('scale_attn_weights') ?? true,
      layer: config.boolean('scale_attn_by_inverse_layer_idx') ?? false,
    },
    tiedEmbedding: config.boolean('tie_word_embeddings') ?? true,
    ...readTextEnds(config, generation, vocabSize, nano),
  };
}

/** nanoGPT uses torch.nn.GELU, which is the exact function. */
function readActivation(config: Settings, nano: boolean): GeluKind {
  const fallback = nano ? 'gelu' : defaults.activation;
  const name = config.has('activation_function') ? config.get('activation_function') : fallback;
  const kind = typeof name === 'string' && Object.hasOwn(activations, name) ? activations[name] : undefined;
  if (kind === undefined)
    throw config.unsupported('activation_function', Object.keys(activations).join(', '));
  return kind;
}

/** Token that begins a text and tokens that end one. GPT-2 has one for both; transformers knows its id where the config is silent. */
function readTextEnds(config: Settings, generation: Settings | null, vocabSize: number, nano: boolean) {
  const idsOf = (key: 'bos_token_id' | 'eos_token_id') => {
    if (config.get(key) !== undefined) return config.tokenIds(key, vocabSize);
    return !nano && defaults.endId < vocabSize ? [defaults.endId] : [];
  };
  const begins = idsOf('bos_token_id');
  if (begins.length > 1) throw config.unusable('bos_token_id', 'one token id');
  const ends = [...idsOf('eos_token_id'), ...(generation?.tokenIds('eos_token_id', vocabSize) ?? [])];
  return { bosId: begins[0] ?? null, eosIds: [...new Set(ends)] };
}
