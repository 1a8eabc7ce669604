/** Writes a llama2.c checkpoint of random weights: same shape and seed, same bytes. */
import { closeSync, openSync, writeSync } from 'node:fs';
import type { Shape } from './shapes.js';

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

/**
 * Matrices are uniform with variance 1 / columns, which keeps activations about as large as they come in; gains of norms are 1.
 * The two tables of rope, which readers skip, are zero. Order and sizes: legacy_export in export.py of llama2.c.
 */
export function writeRandomCheckpoint(path: string, shape: Shape, seed: number): void {
  const { dim, hidden, layers, heads, kvHeads, vocab, context } = shape;
  const keys = (dim / heads) * kvHeads;
  const matrix = (rows: number, columns: number) => ({
    count: rows * columns,
    limit: Math.sqrt(3 / columns),
  });
  const gains = (count: number) => ({ count, limit: null });
  const rope = { count: (context * dim) / heads / 2, limit: 0 };
  const parts = [
    matrix(vocab, dim),
    gains(layers * dim),
    matrix(layers * dim, dim), // wq
    matrix(layers * keys, dim), // wk
    matrix(layers * keys, dim), // wv
    matrix(layers * dim, dim), // wo
    gains(layers * dim),
    matrix(layers * hidden, dim), // w1
    matrix(layers * dim, hidden), // w2
    matrix(layers * hidden, dim), // w3
    gains(dim),
    rope,
    rope,
  ];
  const source = new UniformSource(seed);
  const file = openSync(path, 'w');
  try {
    writeSync(file, Int32Array.of(dim, hidden, layers, heads, kvHeads, vocab, context));
    for (const { count, limit } of parts) {
      for (let done = 0; done < count; done += CHUNK) {
        const values = new Float32Array(Math.min(CHUNK, count - done));
        if (limit === null) values.fill(1);
        else source.fill(values, limit);
        writeSync(file, values);
      }
    }
  } finally {
    closeSync(file);
  }
}
