/** What quantizing a matrix changed, as numbers that can be compared over matrices, formats and methods. */

/** Statistics of one matrix W (rows x columns) and what is stored of it, Q, both as real numbers. */
export interface TensorStatistics {
  /** Name in plans and reports, such as layers.0.attn.q. */
  readonly name: string;
  /** Mean of (w - q)^2 over all weights, in squares of the weights' unit. */
  readonly mse: number;
  /** Mean of |w - q| over all weights, in the weights' unit. */
  readonly mae: number;
  /** Signal to quantization noise: 10 log10(sum of w^2 / sum of (w - q)^2) decibels; null where Q equals W. */
  readonly sqnrDb: number | null;
  /**
   * Relative error of the output over inputs X (tokens x columns): |X (W - Q)^T| / |X W^T|, Frobenius norms; null for a matrix that
   * nothing is multiplied by (embeddings), and where the output is zero.
   */
  readonly outputError: number | null;
  /**
   * Share of the matrix in the sum of the divergences from the float model that each matrix causes on its own, in [0, 1]; null
   * where divergences were not measured.
   */
  readonly kldShare: number | null;
}

/** Sums over the weights of a matrix; rows may come in any number of pieces. */
export class WeightErrors {
  #weights = 0;
  #squares = 0;
  #squaredErrors = 0;
  #absoluteErrors = 0;

  /** Takes weights and what is stored of them, element by element. */
  add(weights: Float32Array, stored: Float32Array): void {
    for (let i = 0; i < weights.length; i++) {
      const error = weights[i]! - stored[i]!;
      this.#squares += weights[i]! * weights[i]!;
      this.#squaredErrors += error * error;
      this.#absoluteErrors += Math.abs(error);
    }
    this.#weights += weights.length;
  }

  statistics(): Pick<TensorStatistics, 'mse' | 'mae' | 'sqnrDb'> {
    return {
      mse: this.#squaredErrors / this.#weights,
      mae: this.#absoluteErrors / this.#weights,
      sqnrDb: decibels(this.#squares, this.#squaredErrors),
    };
  }
}

/** 10 log10(signal / noise); null without noise, and the least finite number for noise without a signal. */
function decibels(signal: number, noise: number): number | null {
  if (noise === 0) return null;
  return Math.max(-Number.MAX_VALUE, 10 * Math.log10(signal / noise));
}

/** Sums over the outputs of a matrix on calibration inputs. */
export class OutputErrors {
  #squares = 0;
  #squaredErrors = 0;

  /** Takes outputs of W and outputs of W - Q for the same inputs. */
  add(outputs: Float32Array, errors: Float32Array): void {
    for (const y of outputs) this.#squares += y * y;
    for (const e of errors) this.#squaredErrors += e * e;
  }

  relative(): number | null {
    return this.#squares === 0 ? null : Math.sqrt(this.#squaredErrors / this.#squares);
  }
}

/** Each value over the sum of all; null for every name where that sum is 0. */
export function sharesOf(divergences: ReadonlyMap<string, number>): ReadonlyMap<string, number | null> {
  let sum = 0;
  for (const divergence of divergences.values()) sum += divergence;
  return new Map([...divergences].map(([name, divergence]) => [name, sum > 0 ? divergence / sum : null]));
}
