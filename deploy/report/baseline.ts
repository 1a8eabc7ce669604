/**
 * Compares speeds with those of earlier runs. A result is a regression only if it is slower by more than the limit and by more than
 * the noise: three times the scaled median absolute deviation of what was measured before (Rousseeuw and Croux, "Alternatives to
 * the Median Absolute Deviation", 1993).
 */
import { type ReportResult, seriesOf } from './report-result.js';

export interface Comparison {
  readonly series: string;
  readonly what: 'decode' | 'prefill';
  /** Tokens a second: this run, and the median of the earlier ones. */
  readonly found: number;
  readonly expected: number;
  /** Negative: slower. */
  readonly changePercent: number;
  /** Tokens a second that runs differ by themselves; null where there is one figure only. */
  readonly noise: number | null;
  readonly isRegression: boolean;
}

/** Makes a median absolute deviation comparable with a standard deviation. */
const madScale = 1.4826;
const noiseFactor = 3;

/** Every result that the baseline has its series of. Emulated speed is never compared. */
export function compareWithBaseline(
  results: readonly ReportResult[],
  baseline: readonly ReportResult[],
  maxRegressionPercent: number,
): Comparison[] {
  return results
    .filter(({ board }) => !board.emulated)
    .flatMap((result) => {
      const before = baseline.filter((one) => !one.board.emulated && seriesOf(one) === seriesOf(result));
      return [
        compare(result, 'decode', decodeRates(result), before.flatMap(decodeRates), maxRegressionPercent),
        compare(result, 'prefill', prefillRates(result), before.flatMap(prefillRates), maxRegressionPercent),
      ].filter((comparison) => comparison !== null);
    });
}

/** Those of one result: a series may have several. */
export function comparisonsOf(result: ReportResult, comparisons: readonly Comparison[]): Comparison[] {
  const rates = { decode: decodeRates(result), prefill: prefillRates(result) };
  return comparisons.filter(
    ({ series, what, found }) =>
      series === seriesOf(result) && rates[what].length > 0 && found === median(rates[what]),
  );
}

function compare(
  result: ReportResult,
  what: Comparison['what'],
  now: readonly number[],
  before: readonly number[],
  maxRegressionPercent: number,
): Comparison | null {
  if (now.length === 0 || before.length === 0) return null;
  const found = median(now);
  const expected = median(before);
  const noise = before.length < 2 ? null : madScale * median(before.map((rate) => Math.abs(rate - expected)));
  const changePercent = (found / expected - 1) * 100;
  const isRegression = changePercent < -maxRegressionPercent && expected - found > noiseFactor * (noise ?? 0);
  return { series: seriesOf(result), what, found, expected, changePercent, noise, isRegression };
}

/** Tokens a second of every repeat, or the one figure there is. */
export function decodeRates({ bench, speed }: ReportResult): number[] {
  const repeats = (bench?.tokenMs ?? []).filter((ms) => ms.length > 0).map((ms) => 1000 / median(ms));
  if (repeats.length > 0) return repeats;
  return speed.tokensPerSecond.median === null ? [] : [speed.tokensPerSecond.median];
}

const prefillRates = ({ speed }: ReportResult): number[] =>
  speed.promptTokensPerSecond === null ? [] : [speed.promptTokensPerSecond];

export function median(values: readonly number[]): number {
  const ascending = [...values].sort((a, b) => a - b);
  const middle = ascending.length >> 1;
  return ascending.length % 2 === 1 ? ascending[middle] : (ascending[middle - 1] + ascending[middle]) / 2;
}
