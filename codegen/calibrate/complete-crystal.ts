/** What a .crystal file of version 1 lacks: given by the user, or found by fitting the missing scales to text. */
import {
  type CrystalCompletion,
  completionRecord,
  parseCompletion,
  readCompletion,
  type StoredScale,
  type UnscaledTensor,
  unscaledTensors,
} from '../checkpoint/crystal-completion.js';
import { missingScales, openCrystalFile, readCrystalFileHeader } from '../checkpoint/crystal-file.js';
import { modelPlace } from '../checkpoint/model-source.js';
import { isCrystalFile } from '../checkpoint/open.js';
import { buildGraph } from '../graph/build.js';
import type { Graph } from '../graph/graph.js';
import { breathe, type StageContext } from '../progress.js';
import { openTokenizer } from '../tokenizer/tokenizer.js';
import { readCalibration } from './calibration-text.js';
import { FloatEvaluator, type FloatWeights } from './float-evaluator.js';
import { checkpointWeights } from './float-weights.js';
import { createLinearAlgebra } from './linear-algebra.js';

export interface CompletionRequest {
  readonly model: string | null;
  readonly scales?: string | null;
  readonly calibration: string | null;
}

/** Ids that scales are fitted to. */
const FIT_TOKENS = 1280;
/** Evaluations of the text that a fit may take. */
const MOST_TRIALS = 260;

/**
 * The completion of a .crystal file: read from `scales`, or fitted to the calibration text where scales are missing; null where
 * neither is asked for or nothing is missing. Throws EM1062, EM2005 and what opening throws.
 */
export async function completeCrystal(
  { model, scales = null, calibration }: CompletionRequest,
  context: StageContext,
): Promise<CrystalCompletion | null> {
  if (scales !== null) return readCompletion(scales);
  const place = modelPlace(model);
  if (!isCrystalFile(place) || calibration === null) return null;
  const header = readCrystalFileHeader(place);
  const missing = missingScales(header);
  if (missing.length === 0) return null;
  const tokenizer = calibration.endsWith('.u16') ? null : openTokenizer(place, header.vocab).tokenizer;
  const text = readCalibration(calibration, tokenizer, header.vocab);
  const ids = Int32Array.from({ length: Math.min(FIT_TOKENS, text.ids.length) }, (_, i) => text.ids[i]!);
  return await fitScales(place, missing, ids, context);
}

/** A tensor's scale and offset in the units of the scale that the public runtime takes for it. */
interface Fit {
  readonly names: readonly UnscaledTensor[];
  /** Logarithm of the factor on the scale, then the offset in starting scales, for each name. */
  readonly point: Float64Array;
}

/** Numbers that a tensor's values become: value = (runtime value - runtime offset) / runtime scale * scale + offset. */
class FittedWeights {
  private readonly stored = new Map<
    UnscaledTensor,
    { readonly integers: Float32Array; readonly unit: number }
  >();
  private readonly values = new Map<UnscaledTensor, Float32Array>();

  constructor(
    path: string,
    names: readonly UnscaledTensor[],
    readonly graph: Graph,
    readonly rest: FloatWeights,
  ) {
    // With scale 1 and offset 0 a file decodes to its integers.
    const plain = Object.fromEntries(unscaledTensors.map((name) => [name, { scale: 1, offset: 0 }]));
    const checkpoint = openCrystalFile(path, parseCompletion(plain, path));
    const tensors = {
      pos_embed: 'pos_embed.weight',
      values: 'field.values',
      temperature: 'field.temperature',
    };
    for (const name of names) {
      const { shape } = checkpoint.tensors.get(tensors[name])!;
      const integers = checkpoint.readRows(tensors[name], 0, shape[0]!);
      const unit = integers.reduce((max, q) => Math.max(max, Math.abs(q)), 1);
      this.stored.set(name, { integers, unit });
      this.values.set(name, new Float32Array(integers.length));
    }
    checkpoint.close();
  }

  /** Largest magnitude among the integers of a tensor. */
  unitOf(name: UnscaledTensor): number {
    return this.stored.get(name)!.unit;
  }

  apply(name: UnscaledTensor, { scale, offset }: StoredScale): void {
    const { integers } = this.stored.get(name)!;
    this.values.get(name)!.set(integers.map((q) => q * scale + offset));
  }

  /** The weights of a float evaluator that sees the present values. */
  weights(): FloatWeights {
    const { rest, values, graph } = this;
    const widthOf = (matrix: string) => graph.matrices.find(({ name }) => name === matrix)!.columns;
    const ownOf = (matrix: string) =>
      values.get(
        matrix === 'positions' ? 'pos_embed' : matrix.endsWith('.values') ? 'values' : 'temperature',
      );
    return {
      block(matrix, first, count) {
        const own = matrix.endsWith('.values') ? ownOf(matrix) : undefined;
        if (own === undefined) return rest.block(matrix, first, count);
        const width = widthOf(matrix);
        return { w: own.slice(first * width, (first + count) * width), kept: false };
      },
      row(matrix, row) {
        const own = matrix === 'positions' ? ownOf(matrix) : undefined;
        const width = widthOf(matrix);
        return own === undefined ? rest.row(matrix, row) : own.subarray(row * width, (row + 1) * width);
      },
      vector(name) {
        const own = name.endsWith('.temperatures') ? values.get('temperature') : undefined;
        return own ?? rest.vector(name);
      },
    };
  }
}

/** Mean negative log-likelihood in nats of the ids, in windows of the context; the first of each is not predicted. */
async function lossOf(evaluator: FloatEvaluator, ids: Int32Array, signal: AbortSignal): Promise<number> {
  const { context, vocabSize } = evaluator.graph;
  let sum = 0;
  let count = 0;
  for (let from = 0; from + 1 < ids.length; from += context) {
    await breathe(signal);
    const window = ids.subarray(from, from + context);
    evaluator.reset();
    const logits = evaluator.run([...window]);
    for (let t = 0; t + 1 < window.length; t++, count++) {
      const row = logits.subarray(t * vocabSize, (t + 1) * vocabSize);
      let max = Number.NEGATIVE_INFINITY;
      for (const v of row) if (v > max) max = v;
      let total = 0;
      for (const v of row) total += Math.exp(v - max);
      sum += max + Math.log(total) - row[window[t + 1]!]!;
    }
  }
  return sum / Math.max(1, count);
}

/** What tensors reach at the start of a fit, and where they lie: plausible magnitudes, from which the search goes on. */
const START: Readonly<Record<UnscaledTensor, { readonly reach: number; readonly offset: number }>> = {
  pos_embed: { reach: 0.25, offset: 0 },
  values: { reach: 2, offset: 0 },
  temperature: { reach: 0.02, offset: 0.4 },
};

/**
 * Fits scales and offsets by pattern search (Hooke and Jeeves 1961): first the reach of each tensor over a wide grid, then all
 * numbers in steps that halve where none helps.
 */
async function fitScales(
  path: string,
  names: readonly UnscaledTensor[],
  ids: Int32Array,
  { progress, signal }: StageContext,
): Promise<CrystalCompletion> {
  const checkpoint = openCrystalFile(path, 'as-runtime');
  try {
    const graph = buildGraph(checkpoint, checkpoint.config.contextLength);
    const fitted = new FittedWeights(path, names, graph, checkpointWeights(checkpoint, graph));
    const evaluator = new FloatEvaluator(graph, fitted.weights(), createLinearAlgebra());
    const scaleOf = ({ point }: Fit, i: number): StoredScale => {
      const reach = START[names[i]!].reach * Math.exp(point[2 * i]!);
      return { scale: reach / fitted.unitOf(names[i]!), offset: point[2 * i + 1]! };
    };
    let trials = 0;
    progress.begin('fit scales', MOST_TRIALS, 'trial');
    const lossAt = async (point: Float64Array) => {
      names.forEach((name, i) => {
        fitted.apply(name, scaleOf({ names, point }, i));
      });
      trials++;
      progress.advance(1);
      return await lossOf(evaluator, ids, signal);
    };
    const start = Float64Array.from(names.flatMap((name) => [0, START[name].offset]));
    const best = await patternSearch(start, lossAt, () => trials < MOST_TRIALS);
    progress.end(`${names.join(', ')}: ${best.loss.toFixed(3)} nats a token over ${ids.length} tokens`);
    const scales = Object.fromEntries(
      names.map((name, i) => [name, scaleOf({ names, point: best.point }, i)]),
    );
    return parseCompletion(completionRecord({ scales }), path);
  } finally {
    checkpoint.close();
  }
}

/** The lowest point found: logarithms of reaches at even places, offsets at odd ones. */
async function patternSearch(
  start: Float64Array,
  lossAt: (point: Float64Array) => Promise<number>,
  goOn: () => boolean,
): Promise<{ point: Float64Array; loss: number }> {
  let point = start;
  let loss = await lossAt(point);
  const consider = async (candidate: Float64Array): Promise<boolean> => {
    const found = await lossAt(candidate);
    if (!(found < loss)) return false;
    [point, loss] = [candidate, found];
    return true;
  };
  const moved = (i: number, by: number) => point.map((v, at) => (at === i ? v + by : v));
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < point.length; i += 2) {
      const from = point;
      for (const step of [-3, -2, -1, 1, 2, 3])
        if (goOn()) await consider(from.map((v, at) => (at === i ? v + step / (1 + round) : v)));
    }
  }
  const steps = point.map((_, i) => (i % 2 === 0 ? 0.35 : 0.15));
  while (goOn() && Math.max(...steps) > 0.01) {
    for (let i = 0; i < point.length && goOn(); i++) {
      const step = steps[i]!;
      if (await consider(moved(i, step))) steps[i] = step * 1.4;
      else if (await consider(moved(i, -step))) steps[i] = -step * 1.4;
      else steps[i] = step / 2;
      steps[i] = Math.abs(steps[i]!);
    }
  }
  return { point, loss };
}
