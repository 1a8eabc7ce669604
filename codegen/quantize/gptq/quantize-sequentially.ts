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
import { type FittedCache, userFittedCache } from './fitted-cache.js';
import { FittedMatrices } from './fitted-matrices.js';
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
  /** Where fitted integers are kept; null: nowhere, absent: in the user's cache folder. */
  readonly cache?: FittedCache | null;
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

/**
 * Quantizes every matrix of the graph; matrices that no linear op uses (an untied embedding) are rounded to nearest. What was
 * fitted before is taken from the cache, and each matrix goes there as soon as it is fitted.
 */
export async function quantizeSequentially(
  input: SequentialInput,
  context: StageContext,
): Promise<ReadonlyMap<string, QuantizedMatrix>> {
  const { graph } = input;
  const weights = graph.matrices.reduce((sum, { rows, columns }) => sum + rows * columns, 0);
  const cache = input.cache === undefined ? userFittedCache(weights) : input.cache;
  const sites = [...graph.layers, graph.epilogue].flatMap(matricesByInput);
  context.progress.begin('fit weights by GPTQ', weights, 'weight');
  const fitted = await FittedMatrices.open(cache, input, sites, context.signal);
  const matrices = await new SequentialRun(input, fitted, context).run(sites);
  const kept = fitted.size === 0 ? '' : `, ${fitted.size} of them fitted before`;
  context.progress.end(`${graph.matrices.length} matrices${kept}`);
  return matrices;
}

class SequentialRun {
  readonly #overlaid: OverlaidWeights;
  readonly #stream: LayerStream;
  readonly #done = new Map<string, QuantizedMatrix>();
  /** Matrices that are still to be fitted: while there are any, the windows go on. */
  #open: ReadonlySet<string> = new Set();

  constructor(
    readonly input: SequentialInput,
    readonly fitted: FittedMatrices,
    readonly context: StageContext,
  ) {
    this.#overlaid = new OverlaidWeights(input.weights);
    this.#stream = new LayerStream(input.graph, this.#overlaid, input.algebra, input.windows);
  }

  async run(sites: readonly (readonly string[])[]): Promise<ReadonlyMap<string, QuantizedMatrix>> {
    const { graph } = this.input;
    const isOpen = (name: string) => this.#isFitted(name) && this.fitted.get(name) === undefined;
    this.#open = new Set(sites.flat().filter(isOpen));
    if (this.#isOpen()) await this.#stream.begin(this.context.signal);
    for (const [layer, ops] of graph.layers.entries()) await this.#section(layer, ops, true);
    await this.#section('epilogue', graph.epilogue, false);
    for (const info of graph.matrices)
      if (!this.#done.has(info.name)) this.#finish(nearest(this.input, info));
    return new Map(graph.matrices.map(({ name }) => [name, this.#done.get(name)!]));
  }

  #isOpen(): boolean {
    for (const name of this.#open) if (!this.#done.has(name)) return true;
    return false;
  }

  /** Quantizes the sites of a list of ops; the windows go on to its end, or stop at the last site. */
  async #section(section: Section, ops: readonly Op[], toEnd: boolean): Promise<void> {
    const { signal } = this.context;
    let at = 0;
    for (const site of sitesOf(ops)) {
      if (this.#isOpen()) await this.#stream.ops(section, at, site.first, signal);
      this.#site(site);
      at = site.first;
    }
    if (toEnd && this.#isOpen()) await this.#stream.ops(section, at, ops.length, signal);
    for (const name of matricesByInput(ops).flat()) this.#overlaid.delete(name); // the windows are past it
  }

  /** The windows wait before the site's first op. A matrix that has a second input is fitted to its first. */
  #site({ input: buffer, matrices }: Site): void {
    const { graph, algebra } = this.input;
    const names = matrices.filter((name) => !this.#done.has(name));
    const isOpen = (name: string) => this.#open.has(name);
    let sweep: Sweep | null = null;
    if (names.some(isOpen)) {
      const hessian = new Hessian(matrixOf(graph, names[0]!).columns);
      for (const { values, tokens } of this.#stream.waiting(buffer)) hessian.add(values, tokens, algebra);
      sweep = planSweep(hessian, algebra);
      if (sweep === null) this.context.progress.warn(`${names.join(', ')}: ${unfactorable}`);
    }
    for (const name of names) {
      const known = this.fitted.get(name);
      const matrix = known ?? quantizeOne(this.input, matrixOf(graph, name), isOpen(name) ? sweep : null);
      if (isOpen(name) && sweep !== null) this.fitted.put(matrix);
      this.#finish(matrix);
    }
  }

  #finish(matrix: QuantizedMatrix): void {
    this.#done.set(matrix.name, matrix);
    if (this.#isOpen()) this.#overlaid.set(matrix.name, dequantizeMatrix(matrix), matrix.columns);
    this.context.progress.advance(matrix.rows * matrix.columns);
  }

  /** Whether GPTQ is worth it: not for a grid finer than the calibration can tell apart, nor for one for all rows. */
  #isFitted(name: string): boolean {
    const { bits, perTensor } = formats[this.input.formats.get(name)!];
    return bits <= 8 && !perTensor;
  }
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
