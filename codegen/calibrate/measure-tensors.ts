/** Statistics of every quantized matrix: errors of its weights, and of its output on calibration text. */
import type { Graph, MatrixInfo } from '../graph/graph.js';
import { breathe, type StageContext } from '../progress.js';
import { dequantizeRow, type QuantizedMatrix } from '../quantize/matrix.js';
import {
  OutputErrors,
  sharesOf,
  type TensorStatistics,
  WeightErrors,
} from '../quantize/tensor-statistics.js';
import type { FloatWeights } from './float-evaluator.js';
import { LayerStream } from './layer-stream.js';
import { createLinearAlgebra, type LinearAlgebra } from './linear-algebra.js';

export interface TensorInput {
  readonly graph: Graph;
  /** Those of the checkpoint: inputs of matrices are the ones that the float model makes. */
  readonly weights: FloatWeights;
  /** Without the gains of their ops. */
  readonly matrices: ReadonlyMap<string, QuantizedMatrix>;
  /** Ids of calibration windows, each at most as long as the context. */
  readonly windows: readonly (readonly number[])[];
  /** Divergence, in nats a token, that each matrix causes on its own; null where it was not measured. */
  readonly divergences: ReadonlyMap<string, number> | null;
}

/** Rows of a matrix that are compared at a time. */
const ROWS_AT_A_TIME = 1024;

/** One record a matrix, in the order of the graph. */
export async function measureTensors(
  input: TensorInput,
  { progress, signal }: StageContext,
): Promise<TensorStatistics[]> {
  const { graph, weights, windows, divergences } = input;
  progress.begin('measure tensors', graph.matrices.length, 'matrix');
  const outputs = new OutputMeter(input);
  const stream = new LayerStream(graph, weights, createLinearAlgebra(), windows);
  await stream.begin(signal);
  for (const layer of graph.layers.keys()) await stream.layer(layer, outputs.observe, true, signal);
  await stream.epilogue(outputs.observe, () => {}, signal);
  const shares = divergences === null ? null : sharesOf(divergences);
  const records: TensorStatistics[] = [];
  for (const info of graph.matrices) {
    await breathe(signal);
    records.push({
      name: info.name,
      ...weightErrors(input, info),
      outputError: outputs.relative(info.name),
      kldShare: shares?.get(info.name) ?? null,
    });
    progress.advance(1);
  }
  progress.end(`${records.length} matrices`);
  return records;
}

/** Calls `use` with the weights float32[count x columns] of some rows and what is stored of them. */
function eachPiece(
  { weights, matrices }: TensorInput,
  { name, rows, columns }: MatrixInfo,
  use: (weights: Float32Array, stored: Float32Array, count: number) => void,
): void {
  const matrix = matrices.get(name)!;
  for (let first = 0; first < rows; first += ROWS_AT_A_TIME) {
    const count = Math.min(ROWS_AT_A_TIME, rows - first);
    const stored = new Float32Array(count * columns);
    for (let r = 0; r < count; r++)
      dequantizeRow(matrix, first + r, stored.subarray(r * columns, (r + 1) * columns));
    use(weights.block(name, first, count).w, stored, count);
  }
}

function weightErrors(input: TensorInput, info: MatrixInfo) {
  const errors = new WeightErrors();
  eachPiece(input, info, (weights, stored) => errors.add(weights, stored));
  return errors.statistics();
}

/** Multiplies the inputs of every matrix by its weights and by their errors. */
class OutputMeter {
  readonly #algebra: LinearAlgebra = createLinearAlgebra();
  readonly #errors = new Map<string, OutputErrors>();

  constructor(readonly input: TensorInput) {}

  readonly observe = (name: string, x: Float32Array, tokens: number): void => {
    const info = this.input.graph.matrices.find((matrix) => matrix.name === name)!;
    const found = this.#errors.get(name) ?? new OutputErrors();
    this.#errors.set(name, found);
    eachPiece(this.input, info, (weights, stored, count) => {
      const outputs = new Float32Array(tokens * count);
      const errors = new Float32Array(tokens * count);
      this.#algebra.matmul(outputs, x, weights, tokens, count, info.columns);
      for (let i = 0; i < stored.length; i++) stored[i] = weights[i]! - stored[i]!;
      this.#algebra.matmul(errors, x, stored, tokens, count, info.columns);
      found.add(outputs, errors);
    });
  };

  relative(name: string): number | null {
    return this.#errors.get(name)?.relative() ?? null;
  }
}
