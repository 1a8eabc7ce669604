/** report.html: one file that needs no other and no network. */
import { type Comparison, comparisonsOf } from './baseline.js';
import { type BoardFailure, failureText } from './board-failure.js';
import { escapeMarkup } from './escape-markup.js';
import { type HistoryEntry, historyEntry } from './history.js';
import { histogram, type Line, lineChart, stackedBar } from './html-charts.js';
import { quantizationSection } from './html-quantization.js';
import type { ReportContent } from './report-content.js';
import { boardName, type ReportResult, seriesOf, verdictOf } from './report-result.js';

const style = `:root{color-scheme:light dark;--line:#8884;--soft:#777}
body{font:15px/1.45 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.5rem;border-bottom:1px solid var(--line);padding-bottom:.3rem}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line);white-space:nowrap}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}.passed{color:#2f855a}.failed{color:#c53030;font-weight:700}.why{white-space:normal}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(26rem,100%),1fr));gap:1rem}
figure{margin:0;border:1px solid var(--line);border-radius:6px;padding:.6rem}figcaption{font-weight:600}.unit{color:var(--soft);font-weight:400}
svg{width:100%;height:auto}.grid{stroke:var(--line)}.axis{font-size:11px;fill:var(--soft)}.label{font-size:12px;fill:currentColor}
.end{text-anchor:end}.middle{text-anchor:middle}dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem}dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
.full{grid-column:1/-1;overflow-x:auto}.full svg{min-width:44rem}.quantization table{font-size:13px}.quantization :is(td,th){padding:.3rem .5rem}.quantization .charts{margin-top:1.2rem}.cell{font-size:12px;text-anchor:middle}.open{color:var(--soft)}tr.chosen td{font-weight:600}h3{font-size:1rem;margin:1.6rem 0 .4rem}
details{margin:.8rem 0}summary{cursor:pointer}table.texts{table-layout:fixed;font-size:13px}.texts td{white-space:pre-wrap;overflow-wrap:anywhere;vertical-align:top}
.texts th:first-child{width:24%}mark{background:#f6ad5540;color:inherit;border-radius:2px}`;

/** A section a board, model, target, quantization and number of threads: of several results, the last one is shown whole. */
export function htmlReport({
  results,
  failures,
  comparisons,
  history,
  quantizations = [],
}: ReportContent): string {
  const last = new Map(results.map((result) => [seriesOf(result), result]));
  const runs = [...history, ...results.map((result) => historyEntry(result, null))];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>embed-model report</title><style>${style}</style></head><body>
<h1>embed-model report</h1>
${overview(results, failures, comparisons)}
${[...last.values()].map((result) => section(result, uniqueRuns(runs, result))).join('\n')}
${quantizations.map(quantizationSection).join('\n')}
</body></html>
`;
}

/** The runs of a result's series, each once. */
function uniqueRuns(runs: readonly HistoryEntry[], of: ReportResult): HistoryEntry[] {
  const own = runs.filter(({ series }) => series === seriesOf(of));
  return [...new Map(own.map((run) => [run.result, run])).values()];
}

function overview(
  results: readonly ReportResult[],
  failures: readonly BoardFailure[],
  comparisons: readonly Comparison[],
): string {
  const head = ['board', 'model', 'target', 'decode tok/s', 'p5', 'p95', 'prefill tok/s', 'change', 'logits'];
  const isNumber = (index: number) => index >= 3 && index <= 7;
  const cell = (tag: string, text: string, index: number, kind = '') =>
    `<${tag}${isNumber(index) ? ' class="n"' : kind === '' ? '' : ` class="${kind}"`}>${escapeMarkup(text)}</${tag}>`;
  const rows = results.map((result) => {
    const { tokensPerSecond, promptTokensPerSecond } = result.speed;
    const change = comparisonsOf(result, comparisons).find(({ what }) => what === 'decode');
    const texts = [
      `${boardName(result)}${result.board.emulated ? ' (emulated)' : ''}`,
      result.model.name,
      result.target,
      figure(tokensPerSecond.median),
      figure(tokensPerSecond.p5),
      figure(tokensPerSecond.p95),
      figure(promptTokensPerSecond),
      change === undefined
        ? ''
        : `${change.changePercent.toFixed(1)} %${change.isRegression ? ', regression' : ''}`,
    ];
    const verdict = verdictOf(result);
    const words = { passed: 'equal', failed: 'DIFFER', 'not checked': 'not checked' } as const;
    return `<tr>${texts.map((text, index) => cell('td', text, index)).join('')}${cell('td', words[verdict], 8, verdict.replace(' ', '-'))}</tr>`;
  });
  const failed = failures.map((one) => {
    const why = `${escapeMarkup(failureText(one))}<br><span class="unit">${escapeMarkup(one.error.fix)}</span>`;
    return `<tr><td>${escapeMarkup(one.board)}</td><td class="why" colspan="7">${why}</td><td class="failed">no result</td></tr>`;
  });
  const titles = head.map((text, index) => cell('th', text, index)).join('');
  return `<div class="wide"><table><thead><tr>${titles}</tr></thead><tbody>${[...rows, ...failed].join('')}</tbody></table></div>`;
}

function section(result: ReportResult, runs: readonly HistoryEntry[]): string {
  const { memory, board } = result;
  const tokenMs = result.bench?.tokenMs ?? [];
  const code = result.files.textBytes ?? 0;
  const parts = [
    ['weights', memory.weightsBytes],
    ['KV cache', memory.kvCacheBytes],
    ['activations', memory.activationBytes],
    ['code', code],
  ] as const;
  const rates = (of: (run: HistoryEntry) => number | null) =>
    runs.flatMap((run) => {
      const rate = of(run);
      return rate === null ? [] : [rate];
    });
  const charts = [
    speedOverText(tokenMs),
    histogram('Latency', tokenMs.flat(), 'ms a token', 'how many tokens took so long'),
    stackedBar(
      'Memory',
      parts.filter(([, bytes]) => bytes > 0).map(([name, bytes]) => [name, bytes / 1e6]),
      'MB',
    ),
    lineChart(
      'History of decode',
      [
        { name: 'median', points: rates(({ decode }) => decode.median) },
        { name: 'p5', points: rates(({ decode }) => decode.p5) },
        { name: 'p95', points: rates(({ decode }) => decode.p95) },
      ],
      'run, the latest on the right',
      'tokens/s',
    ),
    lineChart(
      'History of prefill',
      [{ name: null, points: rates(({ prefill }) => prefill) }],
      'run, the latest on the right',
      'tokens/s',
    ),
  ];
  return `<section><h2>${escapeMarkup(`${boardName(result)}: ${result.model.name} for ${result.target}`)}</h2>
${board.emulated ? '<p>Emulated: its speed says nothing about a board.</p>' : ''}
${facts(result)}
<div class="charts">${charts.join('\n')}</div></section>`;
}

/** A line a repeat; of many repeats, what they have in common. `tokenMs`: milliseconds of every token, a list a repeat. */
function speedOverText(tokenMs: readonly (readonly number[])[]): string {
  const title = 'Speed over the text';
  if (tokenMs.length <= 6) {
    const lines = tokenMs.map((ms) => ({ name: null, points: ms.map((one) => 1000 / one) }));
    return lineChart(title, lines, 'generated token', 'tokens/s, a line a repeat');
  }
  const shortest = Math.min(...tokenMs.map((ms) => ms.length));
  const quantiles = Array.from({ length: shortest }, (_, token) => {
    const ascending = tokenMs.map((ms) => 1000 / ms[token]).sort((a, b) => a - b);
    return [0.5, 0.05, 0.95].map((share) => ascending[Math.round(share * (ascending.length - 1))]);
  });
  const lines: Line[] = ['median', 'p5', 'p95'].map((name, index) => ({
    name,
    points: quantiles.map((of) => of[index]),
  }));
  return lineChart(title, lines, 'generated token', `tokens/s, of ${tokenMs.length} repeats`);
}

function facts(result: ReportResult): string {
  const { board, build, quantization, speed, memory, output } = result;
  const { conditions } = board;
  const pair = (unit: string, { before, after }: { before: number | null; after: number | null }) =>
    before === null && after === null ? null : `${figure(before)} to ${figure(after)} ${unit}`;
  const rows: readonly (readonly [string, string | null])[] = [
    ['reached by', board.transport],
    ['processor', board.cpu],
    ['kernel', board.kernel],
    ['build', build.id],
    ['quantization', `${quantization.name}, ${quantization.bitsPerWeight.toFixed(2)} bits a weight`],
    ['threads', speed.threads === null ? null : String(speed.threads)],
    [
      'first token',
      speed.timeToFirstTokenMs === null ? null : `after ${figure(speed.timeToFirstTokenMs)} ms`,
    ],
    ['peak memory', memory.peakRssBytes === null ? null : `${figure(memory.peakRssBytes / 1e6)} MB`],
    ['logits digest', output.logitsDigest],
    ['governor', conditions?.governor ?? null],
    ['clock', conditions === undefined ? null : pair('MHz', conditions.frequencyMHz)],
    ['temperature', conditions === undefined ? null : pair('°C', conditions.temperatureC)],
    ['throttled', conditions?.throttled == null ? null : conditions.throttled ? 'YES' : 'no'],
    ['energy', conditions?.energyJ == null ? null : `${figure(conditions.energyJ)} J`],
    ['warnings', result.warnings.length === 0 ? null : result.warnings.join('; ')],
  ];
  const shown = rows.flatMap(([name, value]) =>
    value === null ? [] : [`<dt>${name}</dt><dd>${escapeMarkup(value)}</dd>`],
  );
  return `<dl>${shown.join('')}</dl>`;
}

const figure = (value: number | null): string =>
  value === null ? '-' : String(Number(value.toPrecision(4)));
