/** Sources of parameters for the float evaluator. */
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import type { Graph, MatrixInfo } from '../graph/graph.js';
import { readMatrixRows } from '../graph/rotate-inputs.js';
import { dequantizeRow, type QuantizedMatrix } from '../quantize/matrix.js';
import type { FloatWeights } from './float-evaluator.js';

/** Most bytes of float32 weights that stay in memory: all of a model of 124 M parameters; of larger ones the rest is read again. */
const WEIGHT_BYTES = 512e6;

/** Fills out with rows [first, first + count) of a matrix. */
type RowSource = (matrix: MatrixInfo, first: number, count: number) => Float32Array;

/** Weights straight from a checkpoint; blocks are kept as float32 while they fit the budget, else read again each time. */
export function checkpointWeights(
  checkpoint: Checkpoint,
  graph: Graph,
  budgetBytes = WEIGHT_BYTES,
): FloatWeights {
  return weightsFrom(checkpoint, graph, budgetBytes, (matrix, first, count) =>
    readMatrixRows(checkpoint, matrix, first, count),
  );
}

/** Quantized matrices as the real numbers they stand for; vectors from the checkpoint. What the integers alone cost is judged against this. */
export function dequantizedWeights(
  checkpoint: Checkpoint,
  graph: Graph,
  matrices: ReadonlyMap<string, QuantizedMatrix>,
  budgetBytes = WEIGHT_BYTES,
): FloatWeights {
  return weightsFrom(checkpoint, graph, budgetBytes, (matrix, first, count) => {
    const out = new Float32Array(count * matrix.columns);
    const quantized = matrices.get(matrix.name)!;
    for (let r = 0; r < count; r++) {
      dequantizeRow(quantized, first + r, out.subarray(r * matrix.columns, (r + 1) * matrix.columns));
    }
    return out;
  });
}

function weightsFrom(
  checkpoint: Checkpoint,
  graph: Graph,
  budgetBytes: number,
  source: RowSource,
): FloatWeights {
  const blocks = new Map<string, Float32Array>();
  const vectors = new Map<string, Float32Array>();
  let free = budgetBytes;
  const matrixOf = (name: string) => graph.matrices.find((m) => m.name === name)!;
  return {
    block(name, first, count) {
      const matrix = matrixOf(name);
      const key = `${name}:${first}:${count}`;
      const held = blocks.get(key);
      if (held !== undefined) return { w: held, kept: true };
      const w = source(matrix, first, count);
      const kept = w.byteLength <= free;
      if (kept) {
        free -= w.byteLength;
        blocks.set(key, w);
      }
      return { w, kept };
    },
    row: (name, row) => source(matrixOf(name), row, 1),
    vector(name) {
      let vector = vectors.get(name);
      if (vector === undefined) {
        const { tensor, length } = graph.vectors.find((v) => v.name === name)!;
        vector = checkpoint.readRows(tensor, 0, length);
        vectors.set(name, vector);
      }
      return vector;
    },
  };
}
