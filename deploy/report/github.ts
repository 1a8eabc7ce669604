/** What GitHub Actions shows: annotations, and the summary of a job. */
import { appendFileSync, existsSync, statSync } from 'node:fs';
import { failureText } from './board-failure.js';
import type { ReportContent } from './report-content.js';
import { boardName, type ReportResult, verdictOf } from './report-result.js';
import { markdownReport } from './table-report.js';

/** GitHub shows ten of a kind in a step, and drops the rest. */
const mostAnnotations = 10;
/** Of a job's summary GitHub takes 1 MiB and nothing of what is larger. */
const mostSummaryBytes = 1 << 20;

type Environment = Readonly<Record<string, string | undefined>>;

/** Lines that GitHub makes annotations of: what differs and what became slow first, warnings after that. */
export function annotations({ results, failures, comparisons }: ReportContent): string[] {
  const errors = [
    ...results
      .filter((result) => verdictOf(result) === 'failed')
      .map((result) => `${boardName(result)}: logits of ${result.model.name} differ from the reference`),
    ...failures.map((one) => `${one.board}: ${failureText(one)}`),
    ...comparisons
      .filter(({ isRegression }) => isRegression)
      .map(({ series, what, changePercent }) => `${series}: ${what} ${changePercent.toFixed(1)} %`),
  ];
  const warnings = results.flatMap((result) =>
    result.warnings.map((text) => `${boardName(result)}: ${text}`),
  );
  return [...limited('error', errors), ...limited('warning', warnings)];
}

function limited(kind: 'error' | 'warning', texts: readonly string[]): string[] {
  const rest = texts.length - mostAnnotations + 1;
  const shown =
    texts.length <= mostAnnotations ? texts : [...texts.slice(0, mostAnnotations - 1), `and ${rest} more`];
  return shown.map((text) => `::${kind} title=embed-model::${escapeCommand(text)}`);
}

/** As the runner's own toolkit escapes data (actions/toolkit, packages/core/src/command.ts). */
const escapeCommand = (text: string) =>
  text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');

/** Writes annotations through `say`, and the table to the job's summary where there is one and it has room. */
export function tellGithub(
  content: ReportContent,
  environment: Environment,
  say: (line: string) => void,
): void {
  for (const line of annotations(content)) say(line);
  const path = environment.GITHUB_STEP_SUMMARY;
  if (path === undefined || path === '') return;
  const text = markdownReport(content);
  const used = existsSync(path) ? statSync(path).size : 0;
  if (used + Buffer.byteLength(text) <= mostSummaryBytes) appendFileSync(path, text);
}

/** The array that github-action-benchmark takes as `customBiggerIsBetter`. */
export function benchmarkArray(results: readonly ReportResult[]): readonly object[] {
  return results.flatMap((result) => {
    const name = `${boardName(result)} ${result.model.name} ${result.target}`;
    const { median, p5, p95 } = result.speed.tokensPerSecond;
    const { promptTokensPerSecond } = result.speed;
    const extra = `build ${result.build.id.slice(0, 12)}${result.board.emulated ? ', emulated' : ''}`;
    const unit = 'tokens/s';
    const range = p5 === null || p95 === null ? {} : { range: `${p5} to ${p95}` };
    return [
      ...(median === null ? [] : [{ name: `${name} decode`, unit, value: median, ...range, extra }]),
      ...(promptTokensPerSecond === null
        ? []
        : [{ name: `${name} prefill`, unit, value: promptTokensPerSecond, extra }]),
    ];
  });
}
