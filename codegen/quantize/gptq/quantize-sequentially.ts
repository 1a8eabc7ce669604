/** GPTQ over a whole model, true-sequential: each matrix sees inputs that the matrices before it, already quantized, have made. */
import type { FloatWeights } from '../../calibrate/float-evaluator.js';
import { LayerStream } from '../../calibrate/layer-stream.js';
import type { LinearAlgebra } from '../../calibrate/linear-algebra.js';
import { OverlaidWeights } from '../../calibrate/overlaid-weights.js';
import type { Checkpoint } from '../../checkpoint/checkpoint.js';
import type { Graph, MatrixInfo, Op } from '../../graph/graph.js';
import type { StageContext } from '../../progress.js';
import type { FormatName } from '../format.js';
import { dequantizeMatrix, type QuantizedMatrix } from '../matrix.js';
import { roundToNearest } from '../round-to-nearest.js';
import { Hessian } from './hessian.js';
import { quantizeGptq } from './quantize-gptq.js';

export interface SequentialInput {
  readonly graph: Graph;
  readonly checkpoint: Checkpoint;
  readonly weights: FloatWeights;
  readonly algebra: LinearAlgebra;
  /** The format of every matrix. */
  readonly formats: ReadonlyMap<string, FormatName>;
  readonly groupSize: number;
  /** Ids of the calibration windows, each at most as long as the context. */
  readonly windows: readonly (readonly number[])[];
}

/** Names of the matrices of each linear input, in the order in which a list of ops reaches them. */
function matricesByInput(ops: readonly Op[]): string[][] {
  const sites: string[][] = [];
  let input: string | null = null;
  for (const op of ops) {
    if (op.kind === 'quantize') input = null; // what it writes is a new input
    if (op.kind !== 'linear') continue;
    if (op.input === input) sites[sites.length - 1]!.push(op.matrix);
    else sites.push([op.matrix]);
    input = op.input;
  }
  return sites;
}

/** Quantizes every matrix of the graph; matrices that no linear op uses (an untied embedding) are rounded to nearest. */
export async function quantizeSequentially(
  input: SequentialInput,
  { progress, signal }: StageContext,
): Promise<ReadonlyMap<string, QuantizedMatrix>> {
  const { graph, algebra } = input;
  const overlaid = new OverlaidWeights(input.weights);
  const stream = new LayerStream(graph, overlaid, algebra, input.windows);
  const done = new Map<string, QuantizedMatrix>();
  const infoOf = (name: string) => graph.matrices.find((matrix) => matrix.name === name)!;
  const finish = (matrix: QuantizedMatrix) => {
    done.set(matrix.name, matrix);
    overlaid.set(matrix.name, dequantizeMatrix(matrix), matrix.columns);
    progress.advance(matrix.rows * matrix.columns);
  };
  const quantizeSite = (names: readonly string[], hessian: Hessian) => {
    for (const name of names) finish(quantizeOne(input, infoOf(name), hessian, progress.warn));
  };
  progress.begin(
    'quantize',
    graph.matrices.reduce((sum, { rows, columns }) => sum + rows * columns, 0),
    'weight',
  );
  await stream.begin(signal);
  for (const [layer, ops] of graph.layers.entries()) {
    for (const names of matricesByInput(ops)) {
      const hessian = new Hessian(infoOf(names[0]!).columns);
      await stream.layer(layer, observeOne(names[0]!, hessian, algebra), false, signal);
      quantizeSite(names, hessian);
    }
    await stream.layer(layer, null, true, signal);
  }
  for (const names of matricesByInput(graph.epilogue)) {
    const hessian = new Hessian(infoOf(names[0]!).columns);
    await stream.epilogue(observeOne(names[0]!, hessian, algebra), () => {}, signal);
    quantizeSite(names, hessian);
  }
  for (const { name } of graph.matrices) {
    if (!done.has(name)) finish(nearest(input, infoOf(name)));
  }
  progress.end(`${graph.matrices.length} matrices`);
  return new Map(graph.matrices.map(({ name }) => [name, done.get(name)!]));
}

const observeOne =
  (name: string, hessian: Hessian, algebra: LinearAlgebra) =>
  (matrix: string, x: Float32Array, tokens: number): void => {
    if (matrix === name) hessian.add(x, tokens, algebra);
  };

function sourceOf({ checkpoint }: SequentialInput, { name, tensor, rows, columns }: MatrixInfo) {
  const read = (first: number, count: number) => checkpoint.readRows(tensor, first, count);
  return { name, rows, columns, read };
}

function nearest(input: SequentialInput, info: MatrixInfo): QuantizedMatrix {
  return roundToNearest(sourceOf(input, info), input.formats.get(info.name)!, input.groupSize);
}

function quantizeOne(
  input: SequentialInput,
  info: MatrixInfo,
  hessian: Hessian,
  warn: (message: string) => void,
): QuantizedMatrix {
  const format = input.formats.get(info.name)!;
  const result = quantizeGptq(sourceOf(input, info), hessian, format, input.groupSize, input.algebra);
  if (result !== null) return result.matrix;
  warn(`${info.name}: the Hessian of its inputs cannot be factored at any damping; it is rounded to nearest`);
  return nearest(input, info);
}
