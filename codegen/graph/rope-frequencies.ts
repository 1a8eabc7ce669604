/** Rotary position frequencies with their scalings (Su et al. 2021, arXiv 2104.09864; Llama 3.1 for the llama3 kind). */
import type { LlamaConfig } from '../checkpoint/config.js';

/** Radians a position for each of the headDim / 2 pairs, highest frequency first. */
export function ropeFrequencies(config: LlamaConfig): Float64Array {
  const { headDim, ropeTheta, ropeScaling } = config;
  return Float64Array.from({ length: headDim / 2 }, (_, i) => {
    const frequency = ropeTheta ** ((-2 * i) / headDim);
    switch (ropeScaling.kind) {
      case 'default':
        return frequency;
      case 'linear':
        return frequency / ropeScaling.factor;
      case 'factors':
        return frequency / ropeScaling.factors[i]!;
      case 'llama3': {
        // Long wavelengths are stretched by the factor, short ones kept, those between blended.
        const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalContext } = ropeScaling;
        const turns = (originalContext * frequency) / (2 * Math.PI);
        if (turns < low) return frequency / factor;
        if (turns > high) return frequency;
        const blend = (turns - low) / (high - low);
        return ((1 - blend) * frequency) / factor + blend * frequency;
      }
    }
  });
}
