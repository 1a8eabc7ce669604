import { EmbedError } from '../diagnostics/error.js';
import { exponential } from './exponential.js';

/** Logits as integers: logit = value * scale, scale > 0. */
export interface ScaledLogits {
  readonly values: Int32Array;
  readonly scale: number;
}

export type Logits = Float32Array | Float64Array | ScaledLogits;

/** What one position tells about a quantized model. Natural logarithms (nats). */
export interface PositionComparison {
  /** -ln p0(target) of the reference model. */
  readonly nllReference: number;
  /** -ln p(target) of the quantized model. */
  readonly nllQuantized: number;
  /** Kullback-Leibler divergence Σ_v p0(v) (ln p0(v) - ln p(v)) of the quantized from the reference model. */
  readonly divergence: number;
  /** Both models have the same most likely token; among equals the lowest id counts. */
  readonly sameTop: boolean;
}

/**
 * Compares two models position by position, in float64; holds buffers of the vocabulary's size between
 * positions.
 */
export class LogitComparison {
  #reference = new Float64Array(0);
  #quantized = new Float64Array(0);

  /**
   * @param reference one logit a vocabulary entry
   * @param quantized as many
   * @param target id of the token that follows in the text
   * @throws EM2010 when lengths differ, a logit is not finite, a scale not positive, or the target not in the
   * vocabulary
   */
  compare(reference: Logits, quantized: Logits, target: number): PositionComparison {
    const size = valuesOf(reference).length;
    if (valuesOf(quantized).length !== size) {
      throw incomparable(`${size} reference logits, ${valuesOf(quantized).length} quantized logits`);
    }
    if (!Number.isInteger(target) || target < 0 || target >= size) {
      throw incomparable(`target id ${target} with ${size} logits`);
    }
    if (this.#reference.length !== size) {
      this.#reference = new Float64Array(size);
      this.#quantized = new Float64Array(size);
    }
    this.#reference.set(valuesOf(reference));
    this.#quantized.set(valuesOf(quantized));
    return compareSoftmax(this.#reference, scaleOf(reference), this.#quantized, scaleOf(quantized), target);
  }
}

/**
 * With a = reference - max, b = quantized - max, S0 = Σ e^a, S = Σ e^b: ln p0 = a - ln S0, ln p = b - ln S,
 * so the divergence is Σ e^a (a - b) / S0 - ln S0 + ln S. Nothing overflows, and no term is larger than the
 * logits' spread.
 */
function compareSoftmax(
  reference: Float64Array,
  referenceScale: number,
  quantized: Float64Array,
  quantizedScale: number,
  target: number,
): PositionComparison {
  const topReference = indexOfMaximum(reference);
  const topQuantized = indexOfMaximum(quantized);
  const maximumReference = reference[topReference];
  const maximumQuantized = quantized[topQuantized];
  let sumReference = 0;
  let sumQuantized = 0;
  let weighted = 0;
  for (let v = 0; v < reference.length; v++) {
    const a = (reference[v] - maximumReference) * referenceScale;
    const b = (quantized[v] - maximumQuantized) * quantizedScale;
    const weight = exponential(a);
    sumReference += weight;
    sumQuantized += exponential(b);
    weighted += weight * (a - b);
  }
  // An infinite logit makes a - b infinite or NaN somewhere, and NaN stays NaN.
  if (!Number.isFinite(weighted)) throw incomparable('a logit is not a finite number');
  const logReference = Math.log(sumReference);
  const logQuantized = Math.log(sumQuantized);
  return {
    nllReference: logReference - (reference[target] - maximumReference) * referenceScale,
    nllQuantized: logQuantized - (quantized[target] - maximumQuantized) * quantizedScale,
    // It is never negative, but its rounding error may be.
    divergence: Math.max(0, weighted / sumReference - logReference + logQuantized),
    sameTop: topReference === topQuantized,
  };
}

function indexOfMaximum(values: Float64Array): number {
  let index = 0;
  let maximum = values[0];
  for (let v = 1; v < values.length; v++) {
    if (values[v] > maximum) {
      maximum = values[v];
      index = v;
    }
  }
  return index;
}

function valuesOf(logits: Logits): Float32Array | Float64Array | Int32Array {
  return 'scale' in logits ? logits.values : logits;
}

function scaleOf(logits: Logits): number {
  if (!('scale' in logits)) return 1;
  if (!(logits.scale > 0 && logits.scale < Infinity))
    throw incomparable(`logits with a scale of ${logits.scale}`);
  return logits.scale;
}

function incomparable(why: string): EmbedError {
  return new EmbedError('EM2010', { where: 'evaluation', why });
}
