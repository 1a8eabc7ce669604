/** Finds turns and scales of keys for a model, from keys and queries that it makes of a text in float. */
import type { CalibrationText } from '../../calibrate/calibrate.js';
import { FloatEvaluator, type FloatWeights } from '../../calibrate/float-evaluator.js';
import { checkpointWeights } from '../../calibrate/float-weights.js';
import type { LinearAlgebra } from '../../calibrate/linear-algebra.js';
import type { ModelSource } from '../../checkpoint/model-source.js';
import type { Graph } from '../../graph/graph.js';
import { breathe, type StageContext } from '../../progress.js';
import { foldedSource } from '../folds/folded-source.js';
import type { Folds } from '../folds/folds.js';
import { fitPairTurns } from './fit-pair-turns.js';
import { type RotaryPlace, rotaryPlaces } from './rotary-places.js';

/** Ids that are used of a longer text: an angle and a scale a pair take few. */
const MOST_TOKENS = 1024;
/** Tokens that go through the model at a time. */
const CHUNK = 64;
/** What a head must gain to be turned: else weights stay as they came. */
const WORTHWHILE = 0.95;

export interface TurnedModel {
  readonly source: ModelSource;
  readonly weights: FloatWeights;
}

/**
 * The model with its keys turned so that int8 holds them best; as it was given where nothing can be turned or gains by it, and where
 * weights came as integers, which would be lost.
 */
export async function turnKeys(
  source: ModelSource,
  graph: Graph,
  weights: FloatWeights,
  text: CalibrationText,
  algebra: LinearAlgebra,
  context: StageContext,
): Promise<TurnedModel> {
  const { checkpoint } = source;
  if (graph.matrices.some(({ tensor }) => checkpoint.gridOf?.(tensor) !== undefined))
    return { source, weights };
  const folds = await searchPairTurns(graph, weights, text, algebra, context);
  if (folds.size === 0) return { source, weights };
  const turned = foldedSource(source, graph, folds);
  return { source: turned, weights: checkpointWeights(turned.checkpoint, graph) };
}

/** Folds of all places of the graph where a head gains by them. */
export async function searchPairTurns(
  graph: Graph,
  weights: FloatWeights,
  text: CalibrationText,
  algebra: LinearAlgebra,
  { progress, signal }: StageContext,
): Promise<Folds> {
  const places = rotaryPlaces(graph);
  const folds = new Map<string, Int8Array>();
  if (places.length === 0) return folds;
  const samples = places.map((place) => new PlaceSample(place));
  const evaluator = new FloatEvaluator(graph, weights, algebra, {
    trace: (op, layer, _, values) => {
      if (op.kind === 'rope') samples.find(({ place }) => place.layer === layer)?.add(op.buffer, values);
    },
  });
  const ids = Int32Array.from({ length: Math.min(text.ids.length, MOST_TOKENS) }, (_, i) => text.ids[i]!);
  progress.begin('turn keys', ids.length, 'token');
  for (let at = 0; at < ids.length; ) {
    await breathe(signal);
    const position = at % graph.context;
    if (position === 0) evaluator.reset();
    const chunk = ids.subarray(at, at + Math.min(CHUNK, graph.context - position));
    evaluator.run([...chunk]);
    at += chunk.length;
    progress.advance(chunk.length);
  }
  const errors: number[] = [];
  for (const sample of samples) {
    await breathe(signal);
    const { steps, headErrors } = sample.fit();
    if (steps.some((step) => step !== 0)) folds.set(sample.place.name, steps);
    errors.push(...headErrors);
  }
  const mean = errors.reduce((sum, error) => sum + error, 0) / errors.length;
  progress.end(`${errors.length} heads, squared error of scores ${(100 * mean).toFixed(0)} % of what it was`);
  return folds;
}

/** Keys and queries of one layer. */
class PlaceSample {
  readonly #keys: Float32Array[] = [];
  readonly #queryPower: Float64Array;
  #queries = 0;

  constructor(readonly place: RotaryPlace) {
    this.#queryPower = new Float64Array(place.channels / 2);
  }

  /** Takes float32[tokens x width] of a buffer behind rope. */
  add(buffer: string, values: Float32Array): void {
    const { keyBuffer, queryBuffer, channels, headDim, shared } = this.place;
    if (buffer === keyBuffer) this.#keys.push(values.slice());
    if (buffer !== queryBuffer) return;
    const [pairs, width] = [headDim / 2, channels * shared];
    for (let at = 0; at < values.length; at++) {
      const head = Math.floor((at % width) / (headDim * shared));
      this.#queryPower[head * pairs + (at % pairs)]! += values[at]! ** 2;
    }
    this.#queries += (values.length / width) * shared;
  }

  fit(): { readonly steps: Int8Array; readonly headErrors: readonly number[] } {
    const { channels, headDim } = this.place;
    const steps = new Int8Array(channels);
    const headErrors: number[] = [];
    for (let first = 0; first < channels; first += headDim) {
      const queryPower = this.#queryPower
        .subarray(first / 2, (first + headDim) / 2)
        .map((sum) => sum / this.#queries);
      const fitted = fitPairTurns({ headDim, keys: this.#keysOf(first), queryPower });
      const worthwhile = fitted.error <= WORTHWHILE;
      if (worthwhile) steps.set(fitted.steps, first);
      headErrors.push(worthwhile ? fitted.error : 1);
    }
    return { steps, headErrors };
  }

  /** float32[tokens x headDim] of the head whose values begin at `first`. */
  #keysOf(first: number): Float32Array {
    const { channels, headDim } = this.place;
    const tokens = this.#keys.reduce((sum, { length }) => sum + length / channels, 0);
    const out = new Float32Array(tokens * headDim);
    let to = 0;
    for (const chunk of this.#keys) {
      for (let at = first; at < chunk.length; at += channels, to += headDim)
        out.set(chunk.subarray(at, at + headDim), to);
    }
    return out;
  }
}
