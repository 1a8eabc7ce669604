/** Many results in one table: for a terminal, and as Markdown. */

import { acceptanceSummary } from '../../codegen/commands/acceptance-summary.js';
import { textTable } from '../../codegen/commands/text-table.js';
import { printable } from '../../codegen/diagnostics/printable.js';
import { type Comparison, comparisonsOf } from './baseline.js';
import { failureText } from './board-failure.js';
import { acceptancesOf } from './quantization-records.js';
import type { ReportContent } from './report-content.js';
import { boardName, type ReportResult, verdictOf } from './report-result.js';

const titles = [
  'board',
  'model',
  'target',
  'decode tok/s',
  'prefill tok/s',
  'first token ms',
  'p99 ms',
  'peak MB',
  'logits',
];
const numeric = new Set([3, 4, 5, 6, 7]);

function cells(result: ReportResult, comparisons: readonly Comparison[]): string[] {
  const { board, model, target, speed, memory } = result;
  const figure = (value: number | null, digits = 1) => (value === null ? '-' : value.toFixed(digits));
  const change = (what: Comparison['what']) => {
    const found = comparisonsOf(result, comparisons).find((one) => one.what === what);
    if (found === undefined) return '';
    const sign = found.changePercent < 0 ? '' : '+';
    return ` (${sign}${found.changePercent.toFixed(1)} %${found.isRegression ? ', REGRESSION' : ''})`;
  };
  return [
    `${boardName(result)}${board.emulated ? ' (emulated)' : ''}`,
    model.name,
    target,
    figure(speed.tokensPerSecond.median) + change('decode'),
    figure(speed.promptTokensPerSecond) + change('prefill'),
    figure(speed.timeToFirstTokenMs),
    figure(speed.msPerToken.p99, 2),
    figure(memory.peakRssBytes === null ? null : memory.peakRssBytes / 1e6, 2),
    { passed: 'equal', failed: 'DIFFER', 'not checked': 'not checked' }[verdictOf(result)],
  ];
}

export function textReport({ results, failures, comparisons, quantizations }: ReportContent): string {
  const columns = titles.map(
    (title, index) => ({ title, align: numeric.has(index) ? 'right' : 'left' }) as const,
  );
  const rows = results.map((result) => cells(result, comparisons).map(printable));
  const warnings = results.flatMap((one) =>
    one.warnings.map((warning) => `${boardName(one)}: ${printable(warning)}`),
  );
  const failed = failures.map((one) => `${printable(one.board)}: no result: ${printable(failureText(one))}`);
  const accepted = acceptancesOf(quantizations).map(
    (one) => `\nacceptance of ${printable(one.model)}, ${printable(one.plan)}\n${acceptanceSummary(one)}`,
  );
  const table = rows.length === 0 ? [] : [textTable(columns, rows)];
  return [...table, ...failed, ...warnings, ...accepted].join('\n');
}

export function markdownReport({ results, failures, comparisons, quantizations }: ReportContent): string {
  const cell = (text: string) => printable(text).replace(/[|\\`*_<>[\]]/g, '\\$&');
  const row = (texts: readonly string[]) => `| ${texts.join(' | ')} |`;
  const warnings = results.flatMap((one) =>
    one.warnings.map((warning) => `- ${cell(boardName(one))}: ${cell(warning)}`),
  );
  const failed = failures.map((one) => `- **no result** from ${cell(one.board)}: ${cell(failureText(one))}`);
  const verdict = { true: 'passed', false: '**FAILED**', null: 'open' } as const;
  const gates = acceptancesOf(quantizations).flatMap(({ model, plan, gates }) =>
    gates.map(({ name, passed, text }) =>
      row([cell(`${model}, ${plan}`), cell(name), verdict[`${passed}`], cell(text)]),
    ),
  );
  const table = [
    row(titles),
    row(titles.map((_, index) => (numeric.has(index) ? '---:' : '---'))),
    ...results.map((result) => row(cells(result, comparisons).map(cell))),
  ];
  return [
    '## embed-model',
    '',
    ...(results.length === 0 ? [] : table),
    ...(failed.length === 0 ? [] : ['', ...failed]),
    ...(results.some(({ board }) => board.emulated)
      ? ['', 'Emulated speed says nothing about a board and is not compared.']
      : []),
    ...(warnings.length === 0 ? [] : ['', ...warnings]),
    ...(gates.length === 0
      ? []
      : ['', row(['bundle', 'gate', 'verdict', 'figures']), row(Array(4).fill('---'))]),
    ...gates,
    '',
  ].join('\n');
}
