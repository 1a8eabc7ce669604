/** Calibration: the float evaluator sees text and notes how large every range gets; Q formats follow from that. */
import { createHash } from 'node:crypto';
import { Pcg32 } from '../arithmetic/pcg32.js';
import { EmbedError } from '../diagnostics/error.js';
import type { Graph } from '../graph/graph.js';
import { breathe, type StageContext } from '../progress.js';
import { FloatEvaluator, type FloatWeights } from './float-evaluator.js';
import type { LinearAlgebra } from './linear-algebra.js';
import { MagnitudesByRange, type RangeMethod } from './range-methods.js';

/** Token ids to calibrate with, and where they came from. */
export interface CalibrationText {
  readonly source: string;
  readonly ids: ArrayLike<number>;
}

export interface Calibration {
  /** Largest magnitude seen, by range. */
  readonly ranges: ReadonlyMap<string, number>;
  readonly source: string;
  /** SHA-256 over the ids as little-endian int32. */
  readonly sha256: string;
  readonly tokens: number;
}

/** Ids that are used of a longer text. */
const MAX_TOKENS = 4096;
/** Tokens that go through the model at a time. */
const CHUNK = 64;

/** Runs the text through the float model in windows of the context. `inputs`: how scales of quantize ops are fixed; null: they are not. */
export async function calibrate(
  graph: Graph,
  weights: FloatWeights,
  algebra: LinearAlgebra,
  text: CalibrationText,
  { progress, signal }: StageContext,
  inputs: RangeMethod | null = null,
): Promise<Calibration> {
  const ids = Int32Array.from({ length: Math.min(text.ids.length, MAX_TOKENS) }, (_, i) => text.ids[i]!);
  const ranges = new Map<string, number>();
  const magnitudes = new MagnitudesByRange();
  const evaluator = new FloatEvaluator(graph, weights, algebra, {
    observe: (range, magnitude) => ranges.set(range, Math.max(magnitude, ranges.get(range) ?? 0)),
    ...(inputs === null
      ? {}
      : { quantized: (range: string, values: Float32Array) => magnitudes.add(range, values) }),
  });
  progress.begin('calibrate', ids.length, 'token');
  for (let window = 0; window < ids.length; window += graph.context) {
    evaluator.reset();
    const end = Math.min(ids.length, window + graph.context);
    for (let at = window; at < end; at += CHUNK) {
      await breathe(signal);
      const chunk = ids.subarray(at, Math.min(end, at + CHUNK));
      evaluator.run([...chunk]);
      progress.advance(chunk.length);
    }
  }
  const broken = [...ranges].find(([, magnitude]) => !Number.isFinite(magnitude));
  if (broken !== undefined) {
    throw new EmbedError('EM2004', {
      where: broken[0],
      why: `its values reach ${broken[1]} on the calibration text`,
    });
  }
  if (inputs !== null) for (const [range, largest] of magnitudes.ranges(inputs)) ranges.set(range, largest);
  progress.end(`${ids.length} tokens of ${text.source}`);
  const sha256 = createHash('sha256').update(new Uint8Array(ids.buffer)).digest('hex');
  return { ranges, source: text.source, sha256, tokens: ids.length };
}

/** Matrix parameters that one sampled token may cost in all: 256 tokens of a 15 M model. */
const SAMPLING_BUDGET = 256 * 15e6;

/**
 * Text sampled from the model itself, for models that come without any: temperature 1, seeded, begun with `bosId` or id 0,
 * begun anew where it ends.
 */
export async function sampleCalibrationText(
  graph: Graph,
  weights: FloatWeights,
  algebra: LinearAlgebra,
  bosId: number | null,
  { progress, signal }: StageContext,
): Promise<CalibrationText> {
  const parameters = graph.matrices.reduce((sum, m) => sum + m.rows * m.columns, 0);
  const wanted = Math.min(
    graph.context,
    Math.max(32, Math.min(256, Math.floor(SAMPLING_BUDGET / parameters))),
  );
  const evaluator = new FloatEvaluator(graph, weights, algebra);
  const random = new Pcg32(0n);
  const ids = [bosId ?? 0];
  progress.begin('sample calibration text', wanted, 'token');
  while (ids.length < wanted) {
    await breathe(signal);
    ids.push(sampleToken(evaluator.run([ids[ids.length - 1]!]), random));
    progress.advance(1);
  }
  progress.end();
  return { source: 'text sampled from the model', ids };
}

/** One draw from the softmax of logits. */
function sampleToken(logits: Float32Array, random: Pcg32): number {
  const max = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const weights = Float64Array.from(logits, (l) => Math.exp(l - max));
  const total = weights.reduce((sum, w) => sum + w, 0);
  let left = (random.nextU32() / 2 ** 32) * total;
  for (let id = 0; id < weights.length; id++) {
    left -= weights[id]!;
    if (left < 0) return id;
  }
  return weights.length - 1;
}
