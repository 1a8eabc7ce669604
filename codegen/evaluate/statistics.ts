/** The statistics of validation_report.json: how far a quantized model is from its reference on a text. */
import { EmbedError } from '../diagnostics/error.js';
import { bootstrapUpperBound } from './bootstrap.js';
import { type LogHistogram, logHistogram } from './log-histogram.js';
import { LogitComparison, type Logits } from './logit-comparison.js';
import { quantile } from './quantile.js';

/** Natural logarithms throughout. A standard error or a bound that too few values determine is null. */
export interface ValidationStatistics {
  readonly windows: number;
  /** Positions scored. */
  readonly tokens: number;
  readonly reference: Likelihood;
  readonly quantized: Likelihood;
  /**
   * Of nll quantized - nll reference, position by position: the paired mean, its standard error as if
   * positions were independent, and the one-sided upper 95 % bound of a block bootstrap over windows, which
   * does not assume that.
   */
  readonly lnRatio: {
    readonly mean: number;
    readonly standardError: number | null;
    readonly upper95: number | null;
  };
  /**
   * Kullback-Leibler divergence of the quantized from the reference model. Quantiles by linear interpolation.
   */
  readonly kld: {
    readonly mean: number;
    readonly standardError: number | null;
    readonly median: number;
    readonly p95: number;
    readonly p99: number;
    readonly p999: number;
    readonly max: number;
    /** Of all positions. */
    readonly histogram: LogHistogram;
  };
  /** Share of positions where both models have the same most likely token. */
  readonly sameTop: { readonly fraction: number; readonly standardError: number };
  /** exp(upper95) - 1 < threshold; null below 32 windows. */
  readonly accepted: boolean | null;
}

export interface Likelihood {
  /** Mean negative log-likelihood of the text's tokens. */
  readonly nll: number;
  /** exp(nll) */
  readonly perplexity: number;
}

interface BootstrapChoice {
  /** Seed of the bootstrap; 0 where it is not given. */
  readonly seed?: bigint;
  /** Resamples of the bootstrap; 10,000 where it is not given. */
  readonly resamples?: number;
}

export interface ReportOptions extends BootstrapChoice {
  /** Most that perplexity may grow, as a fraction: 0.02 for 2 %. */
  readonly threshold: number;
}

/** The scored positions of one window in the order of the text. Structured-clonable: workers send it. */
export interface WindowScores {
  /** Index of the window in the text. */
  readonly window: number;
  readonly nllReference: Float64Array;
  readonly nllQuantized: Float64Array;
  readonly divergence: Float64Array;
  /** 1 where both models have the same most likely token, else 0. */
  readonly sameTop: Uint8Array;
}

export type ValidationData = readonly WindowScores[];

/** Fewer blocks than this say too little about the spread between them: no certificate. */
const WINDOWS_TO_CERTIFY = 32;

/** Positions of one window while they are added. */
interface OpenWindow {
  readonly nllReference: number[];
  readonly nllQuantized: number[];
  readonly divergence: number[];
  readonly sameTop: number[];
}

/**
 * Collects scored positions; 25 bytes a position, whatever the vocabulary. Workers may each evaluate some of
 * the windows: `merge` of their `data` gives, in any order, the report of one pass, bit for bit.
 */
export class Validation {
  readonly #comparison = new LogitComparison();
  readonly #windows = new Map<number, OpenWindow>();
  readonly #merged = new Map<number, WindowScores>();

  /**
   * Scores the next position of a window.
   *
   * @param window index of the window in the text
   * @param reference logits of the reference model, one a vocabulary entry
   * @param quantized logits of the quantized model, as many
   * @param target id of the token that follows in the text
   * @throws EM2010 when the logits cannot be compared
   */
  add(window: number, reference: Logits, quantized: Logits, target: number): void {
    if (this.#merged.has(window)) throw new RangeError(`window ${window} was evaluated elsewhere`);
    const position = this.#comparison.compare(reference, quantized, target);
    let open = this.#windows.get(window);
    if (open === undefined) {
      open = { nllReference: [], nllQuantized: [], divergence: [], sameTop: [] };
      this.#windows.set(window, open);
    }
    open.nllReference.push(position.nllReference);
    open.nllQuantized.push(position.nllQuantized);
    open.divergence.push(position.divergence);
    open.sameTop.push(position.sameTop ? 1 : 0);
  }

  /**
   * Takes over the windows that another accumulator evaluated. @throws RangeError when one of them is here
   * already.
   */
  merge(data: ValidationData): void {
    for (const scores of data) {
      if (this.#windows.has(scores.window) || this.#merged.has(scores.window)) {
        throw new RangeError(`window ${scores.window} was evaluated twice`);
      }
      this.#merged.set(scores.window, scores);
    }
  }

  /** All that was added and merged, in the order of the windows. */
  data(): ValidationData {
    const own = [...this.#windows].map(([window, open]) => ({
      window,
      nllReference: Float64Array.from(open.nllReference),
      nllQuantized: Float64Array.from(open.nllQuantized),
      divergence: Float64Array.from(open.divergence),
      sameTop: Uint8Array.from(open.sameTop),
    }));
    return [...own, ...this.#merged.values()].sort((a, b) => a.window - b.window);
  }

  /** @throws EM2011 when no position was scored */
  report(options: ReportOptions): ValidationStatistics {
    return summarize(this.data(), options);
  }
}

/** An empty accumulator of scored positions. */
export function createValidation(): Validation {
  return new Validation();
}

function summarize(windows: ValidationData, options: ReportOptions): ValidationStatistics {
  if (windows.length === 0)
    throw new EmbedError('EM2011', { where: 'evaluation', why: 'no position was scored' });
  const nllReference = concatenate(windows.map((scores) => scores.nllReference));
  const nllQuantized = concatenate(windows.map((scores) => scores.nllQuantized));
  const divergence = concatenate(windows.map((scores) => scores.divergence)).sort();
  const sameTop = mean(concatenate(windows.map((scores) => scores.sameTop)));
  const lnRatio = lnRatioOf(windows, options);
  const { upper95 } = lnRatio;
  return {
    windows: windows.length,
    tokens: nllReference.length,
    reference: likelihood(nllReference),
    quantized: likelihood(nllQuantized),
    lnRatio,
    kld: {
      mean: mean(divergence),
      standardError: standardError(divergence),
      median: quantile(divergence, 0.5),
      p95: quantile(divergence, 0.95),
      p99: quantile(divergence, 0.99),
      p999: quantile(divergence, 0.999),
      max: quantile(divergence, 1),
      histogram: logHistogram(divergence),
    },
    sameTop: { fraction: sameTop, standardError: Math.sqrt((sameTop * (1 - sameTop)) / nllReference.length) },
    accepted:
      upper95 === null || windows.length < WINDOWS_TO_CERTIFY
        ? null
        : Math.expm1(upper95) < options.threshold,
  };
}

/** Of a text whose windows were scored by both models; see ValidationStatistics.lnRatio. */
export function lnRatioOf(
  windows: readonly Pick<WindowScores, 'nllReference' | 'nllQuantized'>[],
  options: BootstrapChoice,
): ValidationStatistics['lnRatio'] {
  const difference = concatenate(
    windows.map(({ nllReference, nllQuantized }) => nllQuantized.map((nll, i) => nll - nllReference[i]!)),
  );
  const upper95 = upperBound(windows, options);
  return { mean: mean(difference), standardError: standardError(difference), upper95 };
}

function upperBound(
  windows: readonly Pick<WindowScores, 'nllReference' | 'nllQuantized'>[],
  options: BootstrapChoice,
): number | null {
  if (windows.length < 2) return null;
  const blocks = windows.map(({ nllReference, nllQuantized }) => ({
    sum: nllQuantized.reduce((sum, nll, position) => sum + (nll - nllReference[position]), 0),
    count: nllReference.length,
  }));
  return bootstrapUpperBound(blocks, 0.95, {
    resamples: options.resamples ?? 10_000,
    seed: options.seed ?? 0n,
  });
}

function likelihood(nlls: Float64Array): Likelihood {
  const nll = mean(nlls);
  return { nll, perplexity: Math.exp(nll) };
}

function mean(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Of the mean of independent values: the root of the unbiased variance over n; null for one value. */
function standardError(values: Float64Array): number | null {
  if (values.length < 2) return null;
  const centre = mean(values);
  const squares = values.reduce((sum, value) => sum + (value - centre) ** 2, 0);
  return Math.sqrt(squares / (values.length - 1) / values.length);
}

function concatenate(parts: readonly (Float64Array | Uint8Array)[]): Float64Array {
  const whole = new Float64Array(parts.reduce((length, part) => length + part.length, 0));
  let start = 0;
  for (const part of parts) {
    whole.set(part, start);
    start += part.length;
  }
  return whole;
}
