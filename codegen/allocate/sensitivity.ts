/** How much worse a model predicts when one of its matrices is stored in fewer bits. */
import type { FloatWeights } from '../calibrate/float-evaluator.js';
import { LayerStream } from '../calibrate/layer-stream.js';
import type { LinearAlgebra } from '../calibrate/linear-algebra.js';
import { OverlaidWeights } from '../calibrate/overlaid-weights.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { LogitComparison } from '../evaluate/logit-comparison.js';
import type { Graph } from '../graph/graph.js';
import type { StageContext } from '../progress.js';
import type { FormatName } from '../quantize/format.js';
import { Hessian } from '../quantize/gptq/hessian.js';
import { planSweep, quantizeGptq, type Sweep } from '../quantize/gptq/quantize-gptq.js';
import { matricesByInput, matrixOf, matrixSource } from '../quantize/gptq/quantize-sequentially.js';
import { dequantizeMatrix, type QuantizedMatrix } from '../quantize/matrix.js';
import { type MatrixSource, roundToNearest } from '../quantize/round-to-nearest.js';

/** Formats that bits are allocated from, fewest bits first. */
export const allocatedFormats = ['w4', 'w5', 'w6', 'w8'] as const satisfies readonly FormatName[];
export type AllocatedFormat = (typeof allocatedFormats)[number];

/** Rows that tell how much less the output errs with more bits: the ratio hardly differs between rows. */
const COMPARED_ROWS = 128;

export interface Sensitivity {
  readonly matrix: string;
  /**
   * Mean Kullback-Leibler divergence (nats a token) from the float model when this matrix alone is quantized: measured for the
   * fewest bits; for the others scaled by the squared error of the matrix's output, as a sample of its rows has it: divergence is
   * proportional to that while small.
   */
  readonly divergence: Readonly<Record<AllocatedFormat, number>>;
}

/** Remembers sensitivities by matrix. */
export interface SensitivityStore {
  get(matrix: string): Sensitivity | undefined;
  put(found: Sensitivity): void;
}

export interface SensitivityInput {
  readonly graph: Graph;
  readonly checkpoint: Checkpoint;
  readonly weights: FloatWeights;
  readonly algebra: LinearAlgebra;
  readonly groupSize: number;
  /** Windows that Hessians are made of. */
  readonly calibration: readonly (readonly number[])[];
  /** Windows whose logits are compared; their float logits are held in memory. */
  readonly probe: readonly (readonly number[])[];
  /** What was found before and what is found now; absent: nothing is remembered. */
  readonly store?: SensitivityStore;
}

/** Measures every matrix of the graph, layer by layer. */
export async function measureSensitivities(
  input: SensitivityInput,
  context: StageContext,
): Promise<Sensitivity[]> {
  return new SensitivityRun(input, context).run();
}

class SensitivityRun {
  readonly #overlaid: OverlaidWeights;
  readonly #calibration: LayerStream;
  readonly #probe: LayerStream;
  readonly #reference: Float32Array[] = [];
  readonly #found = new Map<string, Sensitivity>();

  constructor(
    readonly input: SensitivityInput,
    readonly context: StageContext,
  ) {
    const { graph, weights, algebra } = input;
    this.#overlaid = new OverlaidWeights(weights);
    this.#calibration = new LayerStream(graph, weights, algebra, input.calibration);
    this.#probe = new LayerStream(graph, this.#overlaid, algebra, input.probe);
  }

  async run(): Promise<Sensitivity[]> {
    const { graph, store } = this.input;
    const { progress, signal } = this.context;
    for (const { name } of graph.matrices) {
      const known = store?.get(name);
      if (known !== undefined) this.#found.set(name, known);
    }
    const left = graph.matrices.length - this.#found.size;
    if (left === 0) return graph.matrices.map(({ name }) => this.#found.get(name)!);
    progress.begin('measure sensitivities', left, 'tensor');
    await this.#computeReference();
    await this.#calibration.begin(signal);
    await this.#probe.begin(signal);
    for (const [layer, ops] of graph.layers.entries()) {
      const sites = matricesByInput(ops);
      const hessians = this.#hessians(sites);
      await this.#calibration.layer(layer, hessians.observe, true, signal);
      for (const site of sites) await this.#site(site, hessians.of(site[0]!), layer);
      await this.#probe.layer(layer, null, true, signal);
    }
    const sites = matricesByInput(graph.epilogue);
    const hessians = this.#hessians(sites);
    await this.#calibration.epilogue(hessians.observe, () => {}, signal);
    for (const site of sites) await this.#site(site, hessians.of(site[0]!), graph.layerCount);
    for (const { name } of graph.matrices) if (!this.#found.has(name)) await this.#matrix(name, null, -1);
    progress.end(left === graph.matrices.length ? `${left} matrices` : `${left} matrices, others were known`);
    return graph.matrices.map(({ name }) => this.#found.get(name)!);
  }

  async #computeReference(): Promise<void> {
    const { signal } = this.context;
    await this.#probe.begin(signal);
    for (const layer of this.input.graph.layers.keys()) await this.#probe.layer(layer, null, true, signal);
    const keep = (window: number, logits: Float32Array) => {
      this.#reference[window] = logits.slice();
    };
    await this.#probe.epilogue(null, keep, signal);
  }

  #hessians(sites: readonly (readonly string[])[]) {
    const { graph, algebra } = this.input;
    const open = sites.filter((site) => site.some((name) => !this.#found.has(name)));
    const byMatrix = new Map(open.map(([first]) => [first!, new Hessian(matrixOf(graph, first!).columns)]));
    return {
      observe: (matrix: string, x: Float32Array, tokens: number) =>
        byMatrix.get(matrix)?.add(x, tokens, algebra),
      of: (matrix: string) => byMatrix.get(matrix),
    };
  }

  async #site(matrices: readonly string[], hessian: Hessian | undefined, layer: number): Promise<void> {
    if (hessian === undefined) return; // all of them are known
    const sweep = planSweep(hessian, this.input.algebra);
    for (const name of matrices) if (!this.#found.has(name)) await this.#matrix(name, sweep, layer);
  }

  /** Measures one matrix, which layer `layer` uses (layerCount: the epilogue; -1: the prologue). */
  async #matrix(name: string, sweep: Sweep | null, layer: number): Promise<void> {
    const source = matrixSource(this.input.checkpoint, matrixOf(this.input.graph, name));
    const { matrix } = this.#quantize(source, sweep, allocatedFormats[0]);
    this.#overlaid.set(name, dequantizeMatrix(matrix), matrix.columns);
    const measured = await this.#divergence(this.#usedByPrologue(name) ? -1 : layer);
    this.#overlaid.delete(name);
    const sample = sampleRows(source, COMPARED_ROWS);
    const errors = allocatedFormats.map((format) => this.#quantize(sample, sweep, format).outputError);
    const scaled = errors.map((error) => (errors[0] === 0 ? 0 : (measured * error) / errors[0]!));
    const divergence = Object.fromEntries(allocatedFormats.map((format, i) => [format, scaled[i]!]));
    const found = { matrix: name, divergence: divergence as Record<AllocatedFormat, number> };
    this.#found.set(name, found);
    this.input.store?.put(found);
    this.context.progress.advance(1);
  }

  #usedByPrologue(name: string): boolean {
    return this.input.graph.prologue.some((op) => 'matrix' in op && op.matrix === name);
  }

  #quantize(source: MatrixSource, sweep: Sweep | null, format: FormatName) {
    const { groupSize, algebra } = this.input;
    if (sweep !== null) return quantizeGptq(source, sweep, format, groupSize, algebra);
    const matrix = roundToNearest(source, format, groupSize);
    return { matrix, outputError: squaredError(matrix, source.read(0, source.rows)) };
  }

  /** Mean divergence over the probe windows when the layers from `from` on run anew with what is overlaid. */
  async #divergence(from: number): Promise<number> {
    const { graph, probe } = this.input;
    const { signal } = this.context;
    const saved = this.#probe.save();
    if (from < 0) await this.#probe.begin(signal);
    for (let layer = Math.max(0, from); layer < graph.layerCount; layer++) {
      await this.#probe.layer(layer, null, true, signal);
    }
    const comparison = new LogitComparison();
    let sum = 0;
    let positions = 0;
    const compare = (window: number, logits: Float32Array) => {
      const size = graph.vocabSize;
      for (let t = 0; t + 1 < probe[window]!.length; t++) {
        const at = (values: Float32Array) => values.subarray(t * size, (t + 1) * size);
        const next = probe[window]![t + 1]!;
        sum += comparison.compare(at(this.#reference[window]!), at(logits), next).divergence;
        positions++;
      }
    };
    await this.#probe.epilogue(null, compare, signal);
    this.#probe.rewind(saved);
    return sum / positions;
  }
}

/** Rows of a matrix, evenly spread over it; all of them where there are no more. */
function sampleRows({ name, rows, columns, read }: MatrixSource, count: number): MatrixSource {
  if (rows <= count) return { name, rows, columns, read };
  const sample = new Float32Array(count * columns);
  for (let r = 0; r < count; r++) sample.set(read(Math.floor((r * rows) / count), 1), r * columns);
  // A copy each time: quantizers write into what they read.
  return {
    ...{ name, columns, rows: count },
    read: (first, taken) => sample.slice(first * columns, (first + taken) * columns),
  };
}

function squaredError(matrix: QuantizedMatrix, weights: Float32Array): number {
  return dequantizeMatrix(matrix).reduce((sum, w, i) => sum + (w - weights[i]!) ** 2, 0);
}
