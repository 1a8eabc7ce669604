import { EmbedError } from '../diagnostics/error.js';
import type { RopeScaling } from './config.js';
import type { Settings } from './settings.js';

/** What transformers takes when config.json has no rope_theta, as in the first Llama models. */
const defaultTheta = 10000;
const largestTheta = 1e12;
const largestFactor = 1e6;

export interface RopeSettings {
  readonly ropeTheta: number;
  readonly ropeScaling: RopeScaling;
}

/**
 * Rope settings in either spelling: rope_theta with rope_scaling {type | rope_type, ...}, or since
 * transformers 5 rope_parameters {rope_theta, rope_type, ...}. Where both stand they must agree. Throws
 * EM1008 for kinds of scaling that are not computed, EM1005 and EM1006 for missing and bad values.
 */
export function readRopeSettings(config: Settings): RopeSettings {
  const parameters = config.object('rope_parameters');
  const scaling = config.object('rope_scaling');
  const spelled = [parameters, scaling].filter((settings) => settings !== null);
  const thetas = [...spelled, config]
    .filter((settings) => settings.has('rope_theta'))
    .map((settings) => settings.number('rope_theta', 1, largestTheta));
  const scalings = spelled.map(readScaling);
  requireAgreement(config, 'rope_theta', thetas);
  requireAgreement(config, 'rope scaling', scalings);
  return { ropeTheta: thetas[0] ?? defaultTheta, ropeScaling: scalings[0] ?? { kind: 'default' } };
}

function readScaling(rope: Settings): RopeScaling {
  if (rope.object('full_attention') || rope.object('sliding_attention')) {
    throw rope.unsupported(
      rope.has('full_attention') ? 'full_attention' : 'sliding_attention',
      'one rope for all layers',
    );
  }
  const key = rope.has('rope_type') ? 'rope_type' : 'type';
  const kind: unknown = rope.get(key) ?? 'default';
  if (rope.has('partial_rotary_factor') && rope.get('partial_rotary_factor') !== 1) {
    throw rope.unsupported('partial_rotary_factor', '1');
  }
  if (rope.has('mrope_section')) throw rope.unsupported('mrope_section', 'absent');
  switch (kind) {
    case 'default':
      return { kind: 'default' };
    case 'linear':
      return { kind: 'linear', factor: rope.number('factor', 1 / largestFactor, largestFactor) };
    case 'factors':
      return readFactors(rope);
    case 'llama3':
      return readLlama3(rope);
    default:
      throw rope.unsupported(key, 'default, linear, llama3');
  }
}

/** How rope_freqs.weight of a GGUF file arrives here; transformers has no such kind. */
function readFactors(rope: Settings): RopeScaling {
  const factors: unknown = rope.get('factors');
  const usable = (value: unknown): value is number =>
    typeof value === 'number' && value >= 1 / largestFactor && value <= largestFactor;
  if (!Array.isArray(factors) || !factors.every(usable)) {
    throw rope.unusable('factors', 'positive numbers, one for each pair of elements of a head');
  }
  return { kind: 'factors', factors };
}

function readLlama3(rope: Settings): RopeScaling {
  const lowFrequencyFactor = rope.number('low_freq_factor', 1 / largestFactor, largestFactor);
  const highFrequencyFactor = rope.number('high_freq_factor', 1 / largestFactor, largestFactor);
  // The blend between both ends divides by their difference.
  if (highFrequencyFactor <= lowFrequencyFactor) {
    throw rope.unusable('high_freq_factor', `more than low_freq_factor (${lowFrequencyFactor})`);
  }
  return {
    kind: 'llama3',
    factor: rope.number('factor', 1 / largestFactor, largestFactor),
    lowFrequencyFactor,
    highFrequencyFactor,
    originalContext: rope.integer('original_max_position_embeddings', 1, Number.MAX_SAFE_INTEGER),
  };
}

function requireAgreement(config: Settings, what: string, values: readonly unknown[]): void {
  const spellings = [...new Set(values.map((value) => JSON.stringify(value)))];
  if (spellings.length > 1) {
    throw new EmbedError('EM1006', {
      where: config.where,
      why: `two values for ${what}: ${spellings.join(' and ')}`,
    });
  }
}
