/** Writes a llama2.c checkpoint of random weights: same shape and seed, same bytes. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { gains, matrix, RandomTensors } from './random-tensors.js';
import type { Shape } from './shapes.js';

/**
 * Matrices are uniform with variance 1 / columns, which keeps activations about as large as they come in; gains of norms are 1.
 * The two tables of rope, which readers skip, are zero. Order and sizes: legacy_export in export.py of llama2.c.
 */
export function writeRandomCheckpoint(path: string, shape: Shape, seed: number): void {
  const { dim, hidden, layers, heads, kvHeads, vocab, context } = shape;
  const keys = (dim / heads) * kvHeads;
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
  const tensors = new RandomTensors(seed);
  const file = openSync(path, 'w');
  try {
    writeSync(file, Int32Array.of(dim, hidden, layers, heads, kvHeads, vocab, context));
    for (const part of parts) tensors.write(file, part);
  } finally {
    closeSync(file);
  }
}
