/** Gains of linear ops, which lie in the row scales of the matrices that a blob holds. */

import { multiplierOf } from '../arithmetic/fixed.js';
import { allOps, type Graph } from '../graph/graph.js';
import { scaleRows } from '../ops/linear.js';
import type { QuantizedMatrix } from '../quantize/matrix.js';

/** The gain of every matrix that a linear op uses. Throws where two ops use a matrix with different ones. */
export function gainsOf(graph: Graph): ReadonlyMap<string, number> {
  const gains = new Map<string, number>();
  for (const op of allOps(graph)) {
    if (op.kind !== 'linear') continue;
    const other = gains.get(op.matrix) ?? op.gain;
    if (other !== op.gain) throw new Error(`${op.matrix} is used with two different gains`);
    gains.set(op.matrix, op.gain);
  }
  return gains;
}

/** Quantized weights as `lower` and blobs have them: row scales times the gain of the op. */
export function foldGains(
  graph: Graph,
  matrices: ReadonlyMap<string, QuantizedMatrix>,
): ReadonlyMap<string, QuantizedMatrix> {
  return scaled(graph, matrices, (matrix, gain) => scaleRows(matrix, gain));
}

/** Matrices of a blob as the weights that they stand for, but for the rounding of row scales, at most 2^-11 of them. */
export function unfoldGains(
  graph: Graph,
  matrices: ReadonlyMap<string, QuantizedMatrix>,
): ReadonlyMap<string, QuantizedMatrix> {
  return scaled(graph, matrices, (matrix, gain) => scaleRows(matrix, 1 / gain, multiplierOf));
}

function scaled(
  graph: Graph,
  matrices: ReadonlyMap<string, QuantizedMatrix>,
  scale: (matrix: QuantizedMatrix, gain: number) => QuantizedMatrix,
): ReadonlyMap<string, QuantizedMatrix> {
  const gains = gainsOf(graph);
  return new Map([...matrices].map(([name, matrix]) => [name, scale(matrix, gains.get(name) ?? 1)]));
}
