/** The gates of an acceptance: each judges one promise by figures that were measured. */

import type { ManifestTensor } from '../bundle/manifest.js';
import { bootstrapUpperBound } from '../evaluate/bootstrap.js';
import type { ValidationReport } from '../evaluate/validation-report.js';
import { formats } from '../quantize/format.js';
import { type OutputComparison, repetitionLengths } from './output-comparison.js';
import type { PairedSpeed } from './paired-speed.js';
import type { TaskScore } from './task-score.js';

export type GateName = 'loss' | 'speed' | 'size' | 'repetition' | 'task';

export interface Gate {
  readonly name: GateName;
  /** null: not judged, and `text` says why. */
  readonly passed: boolean | null;
  /** What is compared with the limit; null where it was not measured. */
  readonly found: number | null;
  readonly limit: number;
  /** Figures behind the verdict, by name. */
  readonly figures: Readonly<Record<string, number | null>>;
  /** The verdict in a sentence. */
  readonly text: string;
}

/** Times as fast as 16-bit weights, at least. */
const FASTER = 1.5;
/** Times smaller than 16-bit weights: 16 over the mean bits of the integers, but no more than 3 ... */
const MOST_SMALLER = 3;
/** ... and of that, what scales and padding may take. */
const SCALES_SHARE = 0.1;
/** Above this many bits a plan keeps 16-bit weights on purpose, and promises neither speed nor size. */
const PROMISED_BITS = 8;
/** Fewer prompts say nothing about how often models repeat themselves. */
const FEWEST_PROMPTS = 8;
/** The n-grams that are judged. */
const REPETITION = 4;
/** Percent of the items that the quantized model may solve less. */
const MOST_DROP_POINTS = 2;
/** With fewer items, one item is more than two points. */
const FEWEST_ITEMS = 50;

const RESAMPLES = 10_000;

const open = (why: string) => ({ passed: null, found: null, figures: {}, text: `not judged: ${why}` });

/** Perplexity grows by less than the threshold with 95 % confidence. `report`: or why the loss was not measured. */
export function lossGate(report: ValidationReport | string, threshold: number): Gate {
  if (typeof report === 'string') return { name: 'loss', limit: threshold, ...open(report) };
  const { lnRatio, accepted, windows, tokens } = report;
  const { mean, standardError, upper95 } = lnRatio;
  const found = upper95 === null ? null : Math.expm1(upper95);
  const grown = `perplexity ${signed(100 * Math.expm1(mean))} %`;
  return {
    ...{ name: 'loss', passed: accepted, found, limit: threshold },
    figures: { lnRatio: mean, standardError, upper95, windows, tokens },
    text:
      accepted === null || found === null
        ? `${grown}, not judged: ${windows} windows are too few`
        : `${grown}, ${accepted ? 'below' : 'up to'} ${signed(100 * found)} % with 95 % confidence; the limit is +${(100 * threshold).toFixed(1)} %`,
  };
}

/** Mean bits of the stored integers, scales not counted. */
export function meanBits(tensors: readonly ManifestTensor[]): number {
  const weights = tensors.reduce((sum, { rows, columns }) => sum + rows * columns, 0);
  const bits = tensors.reduce(
    (sum, { rows, columns, format }) => sum + rows * columns * formats[format].bits,
    0,
  );
  return bits / weights;
}

/**
 * Decoding is 1.5 times as fast as with 16-bit weights: passed or failed only where the whole interval of the median ratio lies on
 * one side. `speed`: or why it was not measured.
 */
export function speedGate(speed: PairedSpeed | string, bits: number): Gate {
  const gate = { name: 'speed', limit: FASTER } as const;
  if (typeof speed === 'string') return { ...gate, ...open(speed) };
  const { median, lower95, upper95 } = speed.ratio;
  const measured = `decodes ${median.toFixed(2)} times as fast as with 16-bit weights (${range(lower95, upper95)} in ${speed.pairs} pairs of runs)`;
  const figures = { median, lower95, upper95, pairs: speed.pairs, steps: speed.steps };
  const judged = (passed: boolean | null, text: string) => ({
    ...{ ...gate, passed, found: median, figures },
    text: `${measured}; ${text}`,
  });
  if (bits > PROMISED_BITS) return judged(null, `not judged: ${keeps(bits)}`);
  if (lower95 !== null && lower95 >= FASTER) return judged(true, `at least ${FASTER}`);
  if (upper95 !== null && upper95 < FASTER) return judged(false, `the limit is ${FASTER}`);
  return judged(null, `not judged: too near to the limit of ${FASTER} to tell on this machine`);
}

const range = (low: number | null, high: number | null) =>
  low === null || high === null ? 'no interval' : `${low.toFixed(2)} to ${high.toFixed(2)}`;

/**
 * Weights are smaller than 16-bit ones by what their bits promise, less a tenth for scales and padding: 1.8 times with 8 bits, 2.4
 * with 6, 2.7 with 5 or fewer.
 */
export function sizeGate(sizeAgainst16Bit: number | null, bits: number): Gate {
  const limit = (1 - SCALES_SHARE) * Math.min(MOST_SMALLER, 16 / bits);
  const gate = { name: 'size', limit, figures: { meanBits: bits, sizeAgainst16Bit } } as const;
  if (sizeAgainst16Bit === null) return { ...gate, passed: null, found: null, text: 'not judged: not known' };
  const found = 1 / sizeAgainst16Bit;
  const measured = `${found.toFixed(2)} times smaller than 16-bit weights`;
  if (bits > PROMISED_BITS)
    return { ...gate, passed: null, found, text: `${measured}; not judged: ${keeps(bits)}` };
  const text = `${measured}; ${limit.toFixed(2)} is the least for ${bits.toFixed(2)} bits`;
  return { ...gate, passed: found >= limit, found, text };
}

const keeps = (bits: number) =>
  `the plan keeps ${bits.toFixed(2)} bits a weight, and ${PROMISED_BITS} are the most that promise anything`;

/**
 * Greedy continuations repeat no more 4-grams than those of the float model. Single texts differ by chance, so it fails only where
 * the paired mean over prompts is above zero with 95 % confidence (bootstrap over prompts); `found` is that mean. `comparison`: or
 * why there is none.
 */
export function repetitionGate(comparison: Pick<OutputComparison, 'outputs'> | string): Gate {
  if (typeof comparison === 'string') return { name: 'repetition', limit: 0, ...open(comparison) };
  const { outputs } = comparison;
  const at = repetitionLengths.indexOf(REPETITION);
  const differences = outputs.map(
    ({ float, quantized }) => quantized.repetition[at]! - float.repetition[at]!,
  );
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const float = mean(outputs.map((output) => output.float.repetition[at]!));
  const quantized = mean(outputs.map((output) => output.quantized.repetition[at]!));
  const lower95 = -bootstrapUpperBound(
    differences.map((difference) => ({ sum: -difference, count: 1 })),
    0.95,
    { resamples: RESAMPLES, seed: 0n },
  );
  const enough = outputs.length >= FEWEST_PROMPTS;
  const measured = `${percent(quantized)} of the ${REPETITION}-grams are repeated, ${percent(float)} in float`;
  const passed = enough ? lower95 <= 0 : null;
  const notMore = quantized <= float ? 'no more' : 'no more than chance explains';
  const verdict = { true: notMore, false: 'more, with 95 % confidence' }[String(passed)];
  return {
    ...{ name: 'repetition', passed, found: mean(differences), limit: 0 },
    figures: { float, quantized, lower95, prompts: outputs.length },
    text: `${measured}: ${verdict ?? `not judged, ${outputs.length} prompts are fewer than ${FEWEST_PROMPTS}`}`,
  };
}

/** The quantized model solves less than two points fewer items. `score`: or why there is none. */
export function taskGate(score: TaskScore | string): Gate {
  if (typeof score === 'string') return { name: 'task', limit: MOST_DROP_POINTS, ...open(score) };
  const { items, float, quantized, dropPoints, onlyFloat, onlyQuantized, standardErrorPoints } = score;
  const measured = `solves ${percent(quantized)} of ${items} items, ${percent(float)} in float`;
  const enough = items >= FEWEST_ITEMS;
  const passed = enough ? dropPoints < MOST_DROP_POINTS : null;
  return {
    ...{ name: 'task', passed, found: dropPoints, limit: MOST_DROP_POINTS },
    figures: { items, float, quantized, onlyFloat, onlyQuantized, standardErrorPoints },
    text: enough
      ? `${measured}: ${signed(-dropPoints)} points; a drop of ${MOST_DROP_POINTS} is too many`
      : `${measured}; not judged: fewer than ${FEWEST_ITEMS} items`,
  };
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
const signed = (value: number) => `${value < 0 ? '' : '+'}${value.toFixed(2)}`;
