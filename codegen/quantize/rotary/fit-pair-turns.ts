/**
 * Turns and scales of the rotary pairs of one key head, for which int8 keys disturb scores least. All values of a key share one
 * scale, so that each errs in proportion to the largest magnitude; what that does to a score is weighed by the queries:
 *
 *     mean over keys of (max over pairs of s_i max(|a_i|, |b_i|))^2  times  sum over pairs of q_i^2 / s_i^2
 *
 * Pairs that hold a constant, such as those that rope hardly turns, gain by an angle that divides it between both values.
 */
import { MOST_STEPS, scaleOf } from '../folds/folds.js';
import { angleOf, STEPS_PER_QUARTER_TURN } from './pair-turns.js';

/** What is known of the keys and queries of a head. */
export interface HeadSample {
  readonly headDim: number;
  /** float32[keys x headDim], behind rope. */
  readonly keys: Float32Array;
  /** Of each pair, the mean of the sum of both squares, of all queries that meet these keys. */
  readonly queryPower: Float64Array;
}

export interface FittedTurns {
  /** int8[headDim]: steps of the scales of all pairs, then of their angles (pair-turns.ts). */
  readonly steps: Int8Array;
  /** The squared error of scores, as a share of what it is without. */
  readonly error: number;
}

/** How often every pair is looked at. */
const SWEEPS = 3;
/** Steps of an angle between those that are tried. */
const ANGLE_STRIDE = 8;
/** Scales are tried so many steps around the present one, first coarsely. */
const SCALE_TRIES = [
  { reach: 32, stride: 8 },
  { reach: 6, stride: 2 },
] as const;

/** Pair by pair, as long as it helps. Keys or queries of zeros are left as they are. */
export function fitPairTurns(sample: HeadSample): FittedTurns {
  const fit = new PairFit(sample);
  const before = fit.error();
  if (!(before > 0)) return { steps: fit.steps, error: 1 };
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    for (let pair = 0; pair < sample.headDim / 2; pair++) fit.improve(pair);
  }
  return { steps: fit.steps, error: fit.error() / before };
}

class PairFit {
  readonly steps: Int8Array;
  readonly #pairs: number;
  readonly #count: number;
  /** Of key j, pair i at j pairs + i: the larger magnitude of both values, turned, not scaled. */
  readonly #magnitudes: Float64Array;
  /** Of each key the largest scaled magnitude of all pairs but one. */
  readonly #others: Float64Array;

  constructor(readonly sample: HeadSample) {
    const { headDim, keys } = sample;
    this.#pairs = headDim / 2;
    this.#count = keys.length / headDim;
    this.steps = new Int8Array(headDim);
    this.#magnitudes = new Float64Array(this.#count * this.#pairs);
    this.#others = new Float64Array(this.#count);
    for (let pair = 0; pair < this.#pairs; pair++) this.#turn(pair, 0);
  }

  error(): number {
    this.#others.fill(0);
    for (let pair = 0; pair < this.#pairs; pair++) this.#raiseOthers(pair);
    return this.#others.reduce((sum, largest) => sum + largest ** 2, 0) * this.#power(-1);
  }

  /** The best angle of a pair for its scale, then the best scale. */
  improve(pair: number): void {
    this.#others.fill(0);
    for (let other = 0; other < this.#pairs; other++) if (other !== pair) this.#raiseOthers(other);
    this.#improveAngle(pair);
    for (const { reach, stride } of SCALE_TRIES) this.#improveScale(pair, reach, stride);
  }

  #improveAngle(pair: number): void {
    const at = this.#pairs + pair;
    let best = this.steps[at]!;
    let least = this.#spread(pair, this.steps[pair]!);
    for (let angle = 0; angle < STEPS_PER_QUARTER_TURN; angle += ANGLE_STRIDE) {
      this.#turn(pair, angle);
      const spread = this.#spread(pair, this.steps[pair]!);
      if (spread >= least) continue;
      least = spread;
      best = angle;
    }
    this.steps[at] = best;
    this.#turn(pair, best);
  }

  #improveScale(pair: number, reach: number, stride: number): void {
    const present = this.steps[pair]!;
    const others = this.#power(pair);
    const errorAt = (steps: number) =>
      this.#spread(pair, steps) * (others + this.sample.queryPower[pair]! / scaleOf(steps) ** 2);
    let least = errorAt(present);
    for (let steps = present - reach; steps <= present + reach; steps += stride) {
      if (Math.abs(steps) > MOST_STEPS) continue;
      const error = errorAt(steps);
      if (error >= least) continue;
      least = error;
      this.steps[pair] = steps;
    }
  }

  /** Sum over keys of the squared largest magnitude, the pair scaled by so many steps. */
  #spread(pair: number, steps: number): number {
    const scale = scaleOf(steps);
    let sum = 0;
    for (let j = 0; j < this.#count; j++) {
      sum += Math.max(this.#others[j]!, scale * this.#magnitudes[j * this.#pairs + pair]!) ** 2;
    }
    return sum;
  }

  /** Sum over all pairs but one of the queries' squares over the squared scales. */
  #power(but: number): number {
    return this.sample.queryPower.reduce(
      (sum, power, pair) => (pair === but ? sum : sum + power / scaleOf(this.steps[pair]!) ** 2),
      0,
    );
  }

  #raiseOthers(pair: number): void {
    const scale = scaleOf(this.steps[pair]!);
    for (let j = 0; j < this.#count; j++) {
      this.#others[j] = Math.max(this.#others[j]!, scale * this.#magnitudes[j * this.#pairs + pair]!);
    }
  }

  #turn(pair: number, angle: number): void {
    const { keys, headDim } = this.sample;
    const cosine = Math.cos(angleOf(angle));
    const sine = Math.sin(angleOf(angle));
    for (let j = 0; j < this.#count; j++) {
      const a = keys[j * headDim + pair]!;
      const b = keys[j * headDim + this.#pairs + pair]!;
      const larger = Math.max(Math.abs(a * cosine - b * sine), Math.abs(a * sine + b * cosine));
      this.#magnitudes[j * this.#pairs + pair] = larger;
    }
  }
}
