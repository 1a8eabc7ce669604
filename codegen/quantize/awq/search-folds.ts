/**
 * AWQ's search (Lin et al., "AWQ: Activation-aware Weight Quantization", arXiv 2306.00978, section 3.2): channels with large inputs
 * are scaled up before weights are rounded, by their magnitude to a power that a grid search finds.
 */
import { LayerStream } from '../../calibrate/layer-stream.js';
import type { StageContext } from '../../progress.js';
import { type Folds, scaleOf, stepsOf } from '../folds/folds.js';
import { type FormatName, formats } from '../format.js';
import { Hessian } from '../gptq/hessian.js';
import { matrixOf, matrixSource, type SequentialInput } from '../gptq/quantize-sequentially.js';
import { dequantizeMatrix } from '../matrix.js';
import { type MatrixSource, roundToNearest } from '../round-to-nearest.js';
import { type FoldPlace, foldPlaces } from './fold-places.js';

export type FoldSearchInput = Omit<SequentialInput, 'cache'>;

/** What was found for a place. */
export interface FoundFold {
  readonly place: string;
  /** The power of the magnitudes that scales are; 0: nothing is scaled. */
  readonly alpha: number;
  /** Squared error of the outputs over their squares, summed over the matrices behind the place, as they are and with the scales. */
  readonly errorBefore: number;
  readonly error: number;
}

export interface FoldSearch {
  /** Of the places where scales help. */
  readonly folds: Folds;
  /** One a place, in the order of the graph. */
  readonly found: readonly FoundFold[];
}

/** The powers that are tried besides 0. */
const ALPHAS = Array.from({ length: 10 }, (_, i) => (i + 1) / 10);
/** Rows of a matrix that are looked at, evenly spread: more say the same of its columns. */
const MOST_ROWS = 1024;

/**
 * Finds scales for every place of the graph, from inputs that the float model makes. Each is at least as good as none, in the
 * squared error that rounding to nearest makes on the outputs of the matrices behind it.
 */
export async function searchFolds(
  input: FoldSearchInput,
  { progress, signal }: StageContext,
): Promise<FoldSearch> {
  const { graph, weights, algebra } = input;
  const places = foldPlaces(graph);
  const folds = new Map<string, Int8Array>();
  const found: FoundFold[] = [];
  if (places.length === 0) return { folds, found };
  progress.begin('search scales of channels', places.length, 'place');
  const stream = new LayerStream(graph, weights, algebra, input.windows);
  await stream.begin(signal);
  let hessians = new Map<string, Hessian>();
  const observe = (matrix: string, x: Float32Array, tokens: number) => {
    const place = places.find(({ multiplied }) => multiplied[0] === matrix);
    if (place === undefined) return;
    const hessian = hessians.get(place.name) ?? new Hessian(place.channels);
    hessians.set(place.name, hessian);
    hessian.add(x, tokens, algebra);
  };
  const searchSeen = () => {
    for (const place of places) {
      const hessian = hessians.get(place.name);
      if (hessian === undefined) continue;
      const { steps, ...record } = searchPlace(place, input, hessian);
      if (record.alpha > 0) folds.set(place.name, steps);
      found.push(record);
      progress.advance(1);
    }
    hessians = new Map();
  };
  for (const layer of graph.layers.keys()) {
    await stream.layer(layer, observe, true, signal);
    searchSeen();
  }
  await stream.epilogue(observe, () => {}, signal);
  searchSeen();
  progress.end(`${folds.size} of ${places.length} places`);
  return { folds, found };
}

/** The best scales of one place, for a Hessian of its channels. */
export function searchPlace(
  place: FoldPlace,
  input: FoldSearchInput,
  hessian: Hessian,
): FoundFold & { readonly steps: Int8Array } {
  const objective = new FoldObjective(place, input, hessian);
  const none = new Int8Array(place.channels);
  const errorBefore = objective.error(none);
  const unscaled = { place: place.name, alpha: 0, errorBefore, error: errorBefore, steps: none };
  let best: FoundFold & { readonly steps: Int8Array } = unscaled;
  const magnitudes = magnitudesOf(hessian);
  for (const alpha of ALPHAS) {
    const steps = stepsOf(centred(magnitudes.map((magnitude) => magnitude ** alpha)));
    const error = objective.error(steps);
    if (error < best.error) best = { ...best, alpha, error, steps };
  }
  return best;
}

/** Root mean square of every channel; channels that are always 0 take the least of the others. */
function magnitudesOf(hessian: Hessian): Float64Array {
  const rms = hessian.diagonal().map((sum) => Math.sqrt(sum / hessian.tokens));
  const least = rms.reduce(
    (min, value) => (value > 0 && value < min ? value : min),
    Number.POSITIVE_INFINITY,
  );
  return rms.map((value) => (value > 0 ? value : Number.isFinite(least) ? least : 1));
}

/** Scales over the geometric mean of the largest and the least. */
function centred(scales: Float64Array): Float64Array {
  const [min, max] = scales.reduce(
    ([a, b], s) => [Math.min(a, s), Math.max(b, s)],
    [Number.POSITIVE_INFINITY, 0],
  );
  return scales.map((scale) => scale / Math.sqrt(min * max));
}

/** What scales of a place cost the outputs of the matrices behind it. */
class FoldObjective {
  readonly #hessian: Float32Array;
  readonly #matrices: readonly { source: MatrixSource; format: FormatName; energy: number }[];

  constructor(
    place: FoldPlace,
    readonly input: FoldSearchInput,
    { sums, tokens }: Hessian,
  ) {
    this.#hessian = Float32Array.from(sums, (sum) => sum / tokens);
    this.#matrices = place.multiplied
      .map((name) => ({
        source: someRows(matrixSource(input.checkpoint, matrixOf(input.graph, name))),
        format: input.formats.get(name)!,
      }))
      .filter(({ format }) => formats[format].bits <= 8)
      .map((one) => ({ ...one, energy: this.#energy(one.source.read(0, one.source.rows), one.source) }));
  }

  /** Sum over the matrices of the squared error of their outputs over their squares. */
  error(steps: Int8Array): number {
    const factors = Float64Array.from(steps, scaleOf);
    let sum = 0;
    for (const { source, format, energy } of this.#matrices) {
      const weights = source.read(0, source.rows);
      const { columns } = source;
      for (let i = 0; i < weights.length; i++) weights[i] = weights[i]! * factors[i % columns]!;
      const scaled = {
        ...source,
        read: (first: number, count: number) => weights.subarray(first * columns, (first + count) * columns),
      };
      const rounded = dequantizeMatrix(roundToNearest(scaled, format, this.input.groupSize));
      for (let i = 0; i < weights.length; i++)
        rounded[i] = (rounded[i]! - weights[i]!) / factors[i % columns]!;
      if (energy > 0) sum += this.#energy(rounded, source) / energy;
    }
    return sum;
  }

  /** Mean over the inputs of the squared length of W x. */
  #energy(weights: Float32Array, { rows, columns }: MatrixSource): number {
    const product = new Float32Array(weights.length);
    this.input.algebra.matmul(product, weights, this.#hessian, rows, columns, columns);
    let sum = 0;
    for (let i = 0; i < weights.length; i++) sum += weights[i]! * product[i]!;
    return sum;
  }
}

/** At most MOST_ROWS rows of a matrix, evenly spread, as one of its own. */
function someRows(source: MatrixSource): MatrixSource {
  const { rows, columns, name } = source;
  const count = Math.min(rows, MOST_ROWS);
  const weights = new Float32Array(count * columns);
  for (let r = 0; r < count; r++) weights.set(source.read(Math.floor((r * rows) / count), 1), r * columns);
  const read = (first: number, number: number) => weights.slice(first * columns, (first + number) * columns);
  return { name, rows: count, columns, read };
}
