/** The config.json of a crystal: a geometric neuron field, flat or behind causal attention. */
import type { CrystalConfig, GeluKind } from './config.js';
import { limits } from './limits.js';
import type { Settings } from './settings.js';

/** What the public implementation compiles in. */
export const crystalDefaults = {
  heads: 4,
  normEpsilon: 1e-5,
  temperatureFloor: 0.1,
  weightSumEpsilon: 1e-8,
  gelu: 'erf' as GeluKind,
} as const;

/** Most neurons that are read. */
export const mostNeurons = 65536;

const flat = 'crystal';
const causal = 'causal-crystal';
export const crystalNames = [flat, causal] as const;

export function isCrystalConfig(config: Settings): boolean {
  const type = config.get('model_type');
  return type === flat || type === causal;
}

const activations: Readonly<Record<string, GeluKind>> = { gelu: 'erf', gelu_tanh: 'tanh', gelu_new: 'tanh' };

/** Sizes and constants of a crystal. num_heads is 0 or absent in flat ones. Throws EM1005, EM1006, EM1008. */
export function readCrystalConfig(config: Settings): CrystalConfig {
  const hiddenSize = config.integer('embed_dim', 1, limits.hiddenSize);
  const isCausal = config.get('model_type') === causal;
  const heads = isCausal ? config.integer('num_heads', 1, limits.heads) : 0;
  if (!isCausal && config.has('num_heads')) config.integer('num_heads', 0, 0);
  const headDim = heads === 0 ? 0 : hiddenSize / heads;
  if (!Number.isInteger(headDim) || headDim > limits.headDim) {
    const expected = `a divisor of embed_dim (${hiddenSize}) that leaves heads of at most ${limits.headDim} elements`;
    throw config.unusable('num_heads', expected);
  }
  const activation = config.has('activation') ? config.get('activation') : 'gelu';
  const gelu =
    typeof activation === 'string' && Object.hasOwn(activations, activation)
      ? activations[activation]
      : undefined;
  if (gelu === undefined) throw config.unsupported('activation', Object.keys(activations).join(', '));
  const constant = (key: string, fallback: number, least: number, most: number) =>
    config.has(key) ? config.number(key, least, most) : fallback;
  const { normEpsilon, temperatureFloor, weightSumEpsilon } = crystalDefaults;
  return {
    family: 'crystal',
    architecture: isCausal ? causal : flat,
    vocabSize: config.integer('vocab_size', 1, limits.vocabSize),
    hiddenSize,
    intermediateSize: config.integer('ffn_dim', 1, limits.intermediateSize),
    layers: 1,
    heads,
    kvHeads: heads,
    headDim,
    contextLength: config.integer('context_length', 1, limits.contextLength),
    normEpsilon: constant('layer_norm_eps', normEpsilon, Number.MIN_VALUE, 1),
    neurons: config.integer('num_neurons', 1, mostNeurons),
    temperatureFloor: constant('temperature_floor', temperatureFloor, 1e-6, 1e6),
    weightSumEpsilon: constant('weight_sum_epsilon', weightSumEpsilon, 1e-30, 1),
    gelu,
    tiedEmbedding: false,
    bosId: null,
    eosIds: [],
  };
}
