/** The part of report.html about a quantization: gates, charts, variants, tensors, texts side by side. */
import type { Acceptance } from '../../codegen/accept/acceptance.js';
import type { ComparedOutput, OutputComparison } from '../../codegen/accept/output-comparison.js';
import type {
  QuantizationSummary,
  SummaryTensor,
  SummaryVariant,
} from '../../codegen/bundle/quantization-summary.js';
import type { ValidationReport } from '../../codegen/evaluate/validation-report.js';
import { bitsMap } from './bits-map.js';
import { divergenceChart } from './divergence-chart.js';
import { escapeMarkup } from './escape-markup.js';
import { measuredKld, paretoChart } from './pareto-chart.js';
import type { QuantizationRecords } from './quantization-records.js';
import { sqnrChart } from './sqnr-chart.js';

/** Empty where the bundle has no record at all. */
export function quantizationSection({
  summary,
  validation,
  acceptance,
  comparison,
}: QuantizationRecords): string {
  if (summary === null && validation === null && acceptance === null && comparison === null) return '';
  const name = summary === null ? validation?.model : `${summary.model.name} for ${summary.target}`;
  const title = name === undefined ? 'Quantization' : `Quantization: ${name}`;
  return `<section class="quantization"><h2>${escapeMarkup(title)}</h2>
${facts(summary, validation)}
${acceptance === null ? '' : gates(acceptance)}
<div class="charts">${[
    bitsMap(summary?.tensors ?? []),
    paretoChart(summary?.variants ?? [], summary?.maxLnRatio ?? null),
    validation === null ? '' : divergenceChart(validation),
    sqnrChart(summary?.tensors ?? []),
  ].join('\n')}</div>
${summary === null ? '' : variantTable(summary)}
${summary === null ? '' : tensorTable(summary.tensors)}
${comparison === null ? '' : outputs(comparison)}</section>`;
}

function facts(summary: QuantizationSummary | null, validation: ValidationReport | null): string {
  const rows: [string, string][] = [];
  if (summary !== null) {
    const megabytes = summary.tensors.reduce((sum, { bytes }) => sum + bytes, 0) / 1e6;
    rows.push(['plan', `${summary.plan}, ${summary.method}`], ...comparedRow(summary), [
      'size',
      `${summary.bitsPerWeight.toFixed(3)} bits a weight, matrices of ${figure(megabytes)} MB`,
    ]);
  }
  if (validation !== null) {
    const { text, windows, window, tokens, reference, quantized, lnRatio, sameTop, threshold } = validation;
    const bound = lnRatio.upper95 === null ? '' : `, below ${grown(lnRatio.upper95)} with 95 % confidence`;
    rows.push(
      ['text', `${text.name}: ${windows} windows of ${window}, ${tokens} tokens scored`],
      [
        'perplexity',
        `${reference.perplexity.toFixed(4)} in float, ${quantized.perplexity.toFixed(4)} quantized: ${grown(lnRatio.mean)}${bound}; the limit is +${(100 * threshold).toFixed(1)} %`,
      ],
      ['same choice', `at ${(100 * sameTop.fraction).toFixed(2)} % of the positions`],
    );
  }
  return `<dl>${rows.map(([name, value]) => `<dt>${name}</dt><dd>${escapeMarkup(value)}</dd>`).join('')}</dl>`;
}

/** What decided which method a search fits weights by. */
function comparedRow({ searchedWith }: QuantizationSummary): [string, string][] {
  if (searchedWith === undefined || searchedWith === null) return [];
  const { plan, methods, positions } = searchedWith;
  const found = methods.map(({ method, kld }) => `${method} ${figure(kld)}`).join(', ');
  return [['methods', `as ${plan}, nats a token from float: ${found}, on ${positions} tokens`]];
}

function gates({ gates: list, accepted, advice = [] }: JudgedGates): string {
  const words = { true: ['passed', 'passed'], false: ['failed', 'FAILED'], null: ['open', 'open'] } as const;
  const rows = list.map(({ name, passed, text }) => {
    const [kind, word] = words[`${passed}`];
    return `<tr><td>${escapeMarkup(name)}</td><td class="${kind}">${word}</td><td class="why">${escapeMarkup(text)}</td></tr>`;
  });
  const lines = advice.map((line) => `<li>${escapeMarkup(line)}</li>`);
  const todo = lines.length === 0 ? '' : `<p>What to do</p><ul>${lines.join('')}</ul>`;
  const verdict = { true: 'accepted', false: 'not accepted', null: 'not judged' }[`${accepted}`];
  return `<h3>Gates: ${verdict}</h3><div class="wide"><table><thead><tr><th>gate</th><th>verdict</th><th>figures</th></tr></thead><tbody>${rows.join('')}</tbody></table></div>${todo}`;
}

/** Records of earlier versions have no advice. */
type JudgedGates = Pick<Acceptance, 'gates' | 'accepted'> & Partial<Pick<Acceptance, 'advice'>>;

interface Column<T> {
  readonly title: string;
  readonly text: (row: T) => string;
  /** n: a number; why: words that may go on in a second line. */
  readonly kind?: 'n' | 'why';
}

function table<T>(
  columns: readonly Column<T>[],
  rows: readonly T[],
  kindOf: (row: T) => string = () => '',
): string {
  const cell = (tag: string, { kind }: Column<T>, text: string) =>
    `<${tag}${kind === undefined ? '' : ` class="${kind}"`}>${escapeMarkup(text)}</${tag}>`;
  const head = columns.map((column) => cell('th', column, column.title)).join('');
  const body = rows.map((row) => {
    const kind = kindOf(row);
    return `<tr${kind === '' ? '' : ` class="${kind}"`}>${columns.map((column) => cell('td', column, column.text(row))).join('')}</tr>`;
  });
  return `<div class="wide"><table><thead><tr>${head}</tr></thead><tbody>${body.join('')}</tbody></table></div>`;
}

const number = <T>(title: string, value: (row: T) => number | null | undefined): Column<T> => ({
  ...{ title, kind: 'n' },
  text: (row) => figure(value(row)),
});

/** The gates besides the loss; summaries of earlier versions say nothing of them. */
const otherGates: Column<SummaryVariant> = {
  ...{ title: 'other gates', kind: 'why' },
  text: ({ failedGates = null }) => {
    if (failedGates === null) return '-';
    return failedGates.length === 0 ? 'passed' : `fails ${failedGates.join(' and ')}`;
  },
};

function variantTable({ variants }: QuantizationSummary): string {
  const loss = ({ emitted, float }: SummaryVariant) => emitted?.lnRatio ?? float?.lnRatio ?? null;
  const columns: Column<SummaryVariant>[] = [
    {
      ...{ title: 'variant', kind: 'why' },
      text: (one) => `${variants.indexOf(one) + 1}. ${one.name}${one.chosen ? ' (chosen)' : ''}`,
    },
    { title: 'method', text: ({ method }) => method },
    { title: 'bits a weight', kind: 'n', text: ({ bitsPerWeight }) => bitsPerWeight.toFixed(3) },
    number('MB', ({ bytes }) => bytes / 1e6),
    number('predicted', ({ predictedKld }) => predictedKld),
    number('in float', ({ float }) => float?.kld),
    number('emitted C', ({ emitted }) => emitted?.kld),
    {
      ...{ title: 'perplexity', kind: 'n' },
      text: (one) => {
        const ln = loss(one);
        return ln === null ? '-' : grown(ln);
      },
    },
  ];
  if (variants.some(({ failedGates }) => failedGates != null)) columns.push(otherGates);
  const isMeasured = variants.some((one) => measuredKld(one) !== null);
  const note = isMeasured
    ? 'KL divergence from the checkpoint in float, nats a token: as the sum of sensitivities predicts, of the quantized weights in float, of the emitted C ("-": only its perplexity was measured).'
    : 'One plan, one method: nothing was compared.';
  return `<h3>Variants tried</h3><p class="unit">${note}</p>${table(columns, variants, ({ chosen }) => (chosen ? 'chosen' : ''))}`;
}

function tensorTable(tensors: readonly SummaryTensor[]): string {
  const columns: Column<SummaryTensor>[] = [
    { title: 'tensor', text: ({ name }) => name },
    { title: 'format', text: ({ format }) => format },
    { title: 'shape', text: ({ rows, columns }) => `${rows} x ${columns}` },
    number('kB', ({ bytes }) => bytes / 1e3),
    { title: 'bits a weight', kind: 'n', text: ({ bitsPerWeight }) => bitsPerWeight.toFixed(2) },
    {
      title: 'SQNR dB',
      kind: 'n',
      text: ({ sqnrDb }) => (sqnrDb === null ? 'exact' : sqnrDb.toFixed(1)),
    },
    number('MSE', ({ mse }) => mse),
    number('MAE', ({ mae }) => mae),
    number('output error', ({ outputError }) => outputError),
    {
      ...{ title: 'KLD share', kind: 'n' },
      text: ({ kldShare }) => (kldShare === null ? '-' : `${(100 * kldShare).toFixed(1)} %`),
    },
  ];
  return `<details><summary>All ${tensors.length} tensors</summary>${table(columns, tensors)}</details>`;
}

/** Prompts that are shown before the rest is folded away. */
const OPEN_OUTPUTS = 6;

function outputs({ outputs: all, tokens, plan }: OutputComparison): string {
  const identical = all.filter(({ float, quantized }) => float.ids.join() === quantized.ids.join()).length;
  const lead = `${identical} of ${all.length} continuations are identical; greedy, at most ${tokens} tokens. What follows the first difference is marked.`;
  const head = `<thead><tr><th>prompt</th><th>in float</th><th>quantized: ${escapeMarkup(plan)}</th></tr></thead>`;
  const rows = (list: readonly ComparedOutput[]) =>
    `<table class="texts">${head}<tbody>${list.map(outputRow).join('')}</tbody></table>`;
  const rest = all.slice(OPEN_OUTPUTS);
  const folded =
    rest.length === 0 ? '' : `<details><summary>${rest.length} more</summary>${rows(rest)}</details>`;
  return `<h3>Texts side by side</h3><p class="unit">${lead}</p>${rows(all.slice(0, OPEN_OUTPUTS))}${folded}`;
}

function outputRow({ prompt, float, quantized }: ComparedOutput): string {
  const [left, right] = [shown(float), shown(quantized)];
  const letters = [[...left], [...right]] as const;
  let same = 0;
  while (same < letters[0].length && letters[0][same] === letters[1][same]) same++;
  const marked = (text: readonly string[]) => {
    const rest = escapeMarkup(text.slice(same).join(''));
    return `${escapeMarkup(text.slice(0, same).join(''))}${rest === '' ? '' : `<mark>${rest}</mark>`}`;
  };
  const cells = [escapeMarkup(shown(prompt)), marked(letters[0]), marked(letters[1])];
  return `<tr>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`;
}

const shown = ({ text, ids }: { readonly text: string | null; readonly ids: readonly number[] }) =>
  text ?? ids.join(' ');

const figure = (value: number | null | undefined): string =>
  value === null || value === undefined ? '-' : String(Number(value.toPrecision(3)));

/** Of perplexity, from ln of a ratio. */
const grown = (lnRatio: number) => `${lnRatio < 0 ? '' : '+'}${(100 * Math.expm1(lnRatio)).toFixed(2)} %`;
