/** A validation report in the words of a terminal. */
import { printable } from '../diagnostics/printable.js';
import type { Likelihood } from '../evaluate/statistics.js';
import type { ValidationReport } from '../evaluate/validation-report.js';
import { formatAmount, formatCount } from './quantities.js';
import { fieldList } from './text-table.js';

export function validationSummary(report: ValidationReport): string {
  const { text, window, windows, tokens, reference, quantized, lnRatio, kld, sameTop, integerCost } = report;
  return fieldList([
    ['model', printable(`${report.model}, ${report.plan}`)],
    [
      'text',
      printable(
        `${text.name}: ${formatAmount(windows, 'window')} of ${window}, ${formatCount(tokens)} tokens scored`,
      ),
    ],
    ['reference', likelihoodText(reference)],
    ['quantized', likelihoodText(quantized)],
    ['perplexity', `${growth(lnRatio.mean)}${boundText(lnRatio.upper95)}`],
    ['divergence', divergenceText(kld)],
    ['same choice', `at ${percent(sameTop.fraction)} of the positions`],
    integerCost && [
      'integers alone',
      `${growth(integerCost.lnRatio.mean)} against the same weights in float`,
    ],
    ratioRow('size', report.sizeAgainst16Bit, 'of 16-bit weights'),
    ratioRow('speed', report.speedAgainst16Bit, 'times that of 16-bit weights'),
    ['accepted', acceptedText(report)],
  ]);
}

function divergenceText({ mean, median, p99, max }: ValidationReport['kld']): string {
  return `mean ${short(mean)}, median ${short(median)}, 99 % ${short(p99)}, most ${short(max)} nats`;
}

function likelihoodText({ nll, perplexity }: Likelihood): string {
  return `perplexity ${perplexity.toFixed(4)} (${nll.toFixed(5)} nats a token)`;
}

/** Of perplexity, from a difference of mean log-likelihoods. */
function growth(lnRatio: number): string {
  const grown = 100 * Math.expm1(lnRatio);
  return `${grown < 0 ? '' : '+'}${grown.toFixed(3)} %`;
}

function boundText(upper95: number | null): string {
  return upper95 === null ? '' : `, below ${growth(upper95)} with 95 % confidence`;
}

const short = (value: number) => value.toPrecision(3);
const percent = (fraction: number) => `${(100 * fraction).toFixed(2)} %`;

function ratioRow(name: string, ratio: number | null, of: string): readonly [string, string] | null {
  return ratio === null ? null : [name, `${ratio.toFixed(3)} ${of}`];
}

function acceptedText({ accepted, threshold, windows }: ValidationReport): string {
  const limit = `the limit of +${(100 * threshold).toFixed(1)} %`;
  if (accepted === null) return `not judged: ${windows} windows are too few, 32 are needed`;
  return accepted ? `yes: below ${limit}` : `NO: not below ${limit} with 95 % confidence`;
}
