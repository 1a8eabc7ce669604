/** GPTQ over a whole model, true-sequential: each matrix sees inputs that the matrices before it, already quantized, have made. */
import type { FloatWeights } from '../../calibrate/float-evaluator.js';
import { LayerStream, type Section } from '../../calibrate/layer-stream.js';
import type { LinearAlgebra } from '../../calibrate/linear-algebra.js';
import { OverlaidWeights } from '../../calibrate/overlaid-weights.js';
import type { Checkpoint } from '../../checkpoint/checkpoint.js';
import type { Graph, MatrixInfo, Op } from '../../graph/graph.js';
import { readMatrixRows } from '../../graph/rotate-inputs.js';
import type { StageContext } from '../../progress.js';
import { type FormatName, formats } from '../format.js';
import { dequantizeMatrix, type QuantizedMatrix } from '../matrix.js';
import { type MatrixSource, roundToNearest } from '../round-to-nearest.js';
import { Hessian } from './hessian.js';
import { planSweep, quantizeGptq, type Sweep } from './quantize-gptq.js';

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

/** What is said of a site whose Hessian has no factor. */
export const unfactorable =
  'the Hessian of their inputs cannot be factored at any damping; they are rounded to nearest';

/** Linear ops that read the same input. */
export interface Site {
  readonly input: string;
  /** Index of the first of them in its list of ops. */
  readonly first: number;
  readonly matrices: readonly string[];
}

/** The sites of a list of ops, in the order in which it reaches them. */
export function sitesOf(ops: readonly Op[]): Site[] {
  const sites: { input: string; first: number; matrices: string[] }[] = [];
  let open = false;
  for (const [first, op] of ops.entries()) {
    if (op.kind === 'quantize') open = false; // what it writes is a new input
    if (op.kind !== 'linear') continue;
    const last = sites.at(-1);
    if (open && last?.input === op.input) last.matrices.push(op.matrix);
    else sites.push({ input: op.input, first, matrices: [op.matrix] });
    open = true;
  }
  return sites;
}

/** Names of the matrices of each site. */
export function matricesByInput(ops: readonly Op[]): readonly (readonly string[])[] {
  return sitesOf(ops).map(({ matrices }) => matrices);
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
  const infoOf = (name: string) => matrixOf(graph, name);
  const finish = (matrix: QuantizedMatrix) => {
    done.set(matrix.name, matrix);
    overlaid.set(matrix.name, dequantizeMatrix(matrix), matrix.columns);
    progress.advance(matrix.rows * matrix.columns);
  };
  const isFitted = (name: string) => {
    const { bits, perTensor } = formats[input.formats.get(name)!];
    return bits <= 8 && !perTensor; // a grid finer than the calibration can tell apart, or one for all rows
  };
  // The windows wait before the site's first op. A matrix that has a second input is fitted to its first.
  const quantizeSite = ({ input: buffer, matrices }: Site) => {
    const names = matrices.filter((name) => !done.has(name));
    let sweep: Sweep | null = null;
    if (names.some(isFitted)) {
      const hessian = new Hessian(infoOf(names[0]!).columns);
      for (const { values, tokens } of stream.waiting(buffer)) hessian.add(values, tokens, algebra);
      sweep = planSweep(hessian, algebra);
      if (sweep === null) progress.warn(`${names.join(', ')}: ${unfactorable}`);
    }
    for (const name of names) finish(quantizeOne(input, infoOf(name), isFitted(name) ? sweep : null));
  };
  /** Quantizes the sites of a list of ops; the windows go on to its end, or stop at the last site. */
  const quantizeSection = async (section: Section, ops: readonly Op[], toEnd: boolean) => {
    let at = 0;
    for (const site of sitesOf(ops)) {
      await stream.ops(section, at, site.first, signal);
      quantizeSite(site);
      at = site.first;
    }
    if (toEnd) await stream.ops(section, at, ops.length, signal);
    for (const name of matricesByInput(ops).flat()) overlaid.delete(name); // the windows are past it
  };
  progress.begin(
    'fit weights by GPTQ',
    graph.matrices.reduce((sum, { rows, columns }) => sum + rows * columns, 0),
    'weight',
  );
  await stream.begin(signal);
  for (const [layer, ops] of graph.layers.entries()) await quantizeSection(layer, ops, true);
  await quantizeSection('epilogue', graph.epilogue, false);
  for (const { name } of graph.matrices) {
    if (!done.has(name)) finish(nearest(input, infoOf(name)));
  }
  progress.end(`${graph.matrices.length} matrices`);
  return new Map(graph.matrices.map(({ name }) => [name, done.get(name)!]));
}

/** A matrix of the graph by its name. */
export function matrixOf(graph: Graph, name: string): MatrixInfo {
  return graph.matrices.find((matrix) => matrix.name === name)!;
}

/** A matrix of the checkpoint as the quantizers read it. */
export function matrixSource(checkpoint: Checkpoint, info: MatrixInfo): MatrixSource {
  const { name, rows, columns } = info;
  const read = (first: number, count: number) => readMatrixRows(checkpoint, info, first, count);
  return { name, rows, columns, read };
}

function nearest(input: SequentialInput, info: MatrixInfo): QuantizedMatrix {
  return roundToNearest(matrixSource(input.checkpoint, info), input.formats.get(info.name)!, input.groupSize);
}

function quantizeOne(input: SequentialInput, info: MatrixInfo, sweep: Sweep | null): QuantizedMatrix {
  if (sweep === null) return nearest(input, info);
  const format = input.formats.get(info.name)!;
  return quantizeGptq(matrixSource(input.checkpoint, info), sweep, format, input.groupSize, input.algebra)
    .matrix;
}
