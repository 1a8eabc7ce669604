/** The proof that no accumulator of a row overflows: exact, from the weights themselves. */
import { EmbedError } from '../diagnostics/error.js';
import { accumulatorBound, type QuantizedMatrix } from '../quantize/matrix.js';

/** Throws EM2003 if the sum of some row can reach `limit`, for activations in [-127, 127]. */
export function proveAccumulator(matrix: QuantizedMatrix, limit: number): void {
  const bound = accumulatorBound(matrix);
  if (bound < limit) return;
  throw new EmbedError('EM2003', {
    where: matrix.name,
    why: `a row of ${matrix.columns} columns can sum to ${bound}, the accumulator holds less than ${limit}`,
  });
}
