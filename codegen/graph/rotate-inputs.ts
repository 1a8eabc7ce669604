/** Turns the inputs of down projections by a Hadamard transform, where what it costs at run time is paid back in precision. */
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { MOST_STAGES, transformRows } from '../ops/hadamard.js';
import type { Graph, MatrixInfo, Op } from './graph.js';
import { bufferOf } from './graph.js';

/** A transform of fewer values spreads too little. */
const FEWEST_STAGES = 2;

/** Stages of the transform for so many values: the largest power of two that divides them, at most 2^MOST_STAGES; 0: none. */
export function stagesFor(width: number): number {
  let stages = 0;
  while (stages < MOST_STAGES && width % 2 ** (stages + 1) === 0) stages++;
  return stages < FEWEST_STAGES ? 0 : stages;
}

/** The buffer that a list of ops fills with activations of the MLP, whose products have outliers in a few channels. */
function activationOf(ops: readonly Op[]): string | null {
  const act = ops.find((op) => op.kind === 'swiglu' || op.kind === 'gelu');
  return act?.kind === 'swiglu' || act?.kind === 'gelu' ? act.output : null;
}

/**
 * The graph with a Hadamard transform before the quantization of every MLP activation; the matrices that read it say so. The same
 * graph where the width does not allow it, and where one of these matrices came as integers, which would be lost.
 */
export function rotateInputs(graph: Graph, checkpoint: Checkpoint): Graph {
  const buffer = activationOf(graph.layers[0]!);
  const stages = buffer === null ? 0 : stagesFor(bufferOf(graph, buffer).width);
  if (buffer === null || stages === 0) return graph;
  const rotated = new Set<string>();
  const layers = graph.layers.map((ops) =>
    ops.flatMap((op): Op[] => {
      if (op.kind !== 'quantize' || op.input !== buffer) return [op];
      for (const user of ops)
        if (user.kind === 'linear' && user.input === op.output) rotated.add(user.matrix);
      return [{ kind: 'hadamard', name: 'down_rotate', buffer, stages }, op];
    }),
  );
  const matrices = graph.matrices.map((matrix) =>
    rotated.has(matrix.name) ? { ...matrix, rotationStages: stages } : matrix,
  );
  const cameQuantized = ({ tensor, rotationStages }: MatrixInfo) =>
    rotationStages !== undefined && checkpoint.gridOf?.(tensor) !== undefined;
  return matrices.some(cameQuantized) ? graph : { ...graph, layers, matrices };
}

/** Whether a graph has turned inputs, as the plan of its bundle must say. */
export function isRotated(graph: Graph): boolean {
  return graph.matrices.some(({ rotationStages }) => rotationStages !== undefined);
}

/** Rows [first, first + count) of a matrix of the graph, float32[count x columns]: those of its tensor, turned as its input is. */
export function readMatrixRows(
  checkpoint: Checkpoint,
  { tensor, columns, rotationStages }: MatrixInfo,
  first: number,
  count: number,
): Float32Array {
  const rows = checkpoint.readRows(tensor, first, count);
  return rotationStages === undefined ? rows : turnBack(rows, columns, rotationStages);
}

/** W for the input H x in place of x: (W H) 2^-stages, row by row. Twice is H H 2^-2 stages: what is left is a factor 2^-stages. */
function turnBack(rows: Float32Array, columns: number, stages: number): Float32Array {
  const turned = rows.map((w) => w * 2 ** -stages);
  transformRows(turned, columns, stages);
  return turned;
}

/** Rows of a matrix of the graph as its tensor has them: the inverse of what `readMatrixRows` does. */
export function unrotatedRows(rows: Float32Array, { columns, rotationStages }: MatrixInfo): Float32Array {
  const turned = rows.slice();
  if (rotationStages !== undefined) transformRows(turned, columns, rotationStages);
  return turned;
}
