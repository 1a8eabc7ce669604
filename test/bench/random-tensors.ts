/** Random float32 weights, written piece by piece: same seed and order, same bytes. */
import { writeSync } from 'node:fs';

/** Values of one tensor: uniform in [-limit, limit), or 1 where the limit is null. */
export interface RandomTensor {
  readonly count: number;
  readonly limit: number | null;
}

/** Variance 1 / columns, which keeps activations about as large as they come in. */
export const matrix = (rows: number, columns: number): RandomTensor => ({
  count: rows * columns,
  limit: Math.sqrt(3 / columns),
});

export const gains = (count: number): RandomTensor => ({ count, limit: null });

/** Floats held at a time. */
const CHUNK = 2 ** 18;

/** Uniform numbers from xorshift32 (Marsaglia 2003). */
class UniformSource {
  #state: number;

  constructor(seed: number) {
    // Weyl's constant spreads small seeds; zero is the one state that xorshift cannot leave.
    this.#state = Math.imul(seed + 1, 0x9e3779b1) | 1;
  }

  /** Fills with values in [-limit, limit). */
  fill(values: Float32Array, limit: number): void {
    let state = this.#state;
    const unit = limit / 2 ** 31;
    for (let i = 0; i < values.length; i++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      values[i] = state * unit;
    }
    this.#state = state;
  }
}

export class RandomTensors {
  readonly #source: UniformSource;

  constructor(seed: number) {
    this.#source = new UniformSource(seed);
  }

  /** At the end of an open file. */
  write(file: number, { count, limit }: RandomTensor): void {
    for (let done = 0; done < count; done += CHUNK) {
      const values = new Float32Array(Math.min(CHUNK, count - done));
      if (limit === null) values.fill(1);
      else this.#source.fill(values, limit);
      writeSync(file, values);
    }
  }
}
