/** embed-model report: one table, or one file, out of many results. */
import { writeFileSync } from 'node:fs';
import { unwritable } from '../bundle/output-folder.js';
import { defineCommand } from './command.js';
import { flag, integer, text } from './option.js';

const options = {
  html: text('FILE', 'write a page with charts; it needs no other file and no network'),
  junit: text('FILE', 'write JUnit XML'),
  markdown: text('FILE', 'write the table as Markdown'),
  benchmark: text('FILE', 'write the array that github-action-benchmark takes (customBiggerIsBetter)'),
  baseline: text('FILE', 'compare with earlier results: {"results": [...]}, as --json writes them here'),
  'max-regression': integer('percent that a speed may fall below the baseline', { min: 0, max: 100 }, 10),
  ci: flag('write annotations and a summary for GitHub Actions; on by itself where GITHUB_ACTIONS is true'),
} as const;

export const report = defineCommand({
  name: 'report',
  summary: 'make one report of the results of many boards and runs',
  description: [
    'Takes what build, run, bench and deploy write with --json. Results that belong together are those of the ' +
      'same board, model, target, quantization and number of threads.',
    'With --baseline, a speed is a regression if it is slower by more than --max-regression percent and by ' +
      'more than three times the noise of the earlier runs (their scaled median absolute deviation). ' +
      'Emulated speed is never compared. With --json, the document holds the results and the comparison: ' +
      'it is the next baseline.',
  ],
  argument: { name: 'RESULT', help: 'files written with --json', required: true, many: true },
  options,
  examples: [
    {
      command: 'embed-model report out/*.json --html report.html --junit junit.xml',
      note: 'for people and for CI',
    },
    {
      command: 'embed-model report pi4.json --baseline baselines/pi4.json --max-regression 5',
      note: 'exit code 1 if slower',
    },
  ],
  cleansUp: false,
  exitCodes: { 1: 'logits differ somewhere, or a speed fell below the baseline' },
  async dryRun({ values: { html, junit, markdown, benchmark } }) {
    const paths = [html, junit, markdown, benchmark].filter((path) => path !== null);
    return { files: paths.map((path) => ({ path, bytes: null })), commands: [], notes: [] };
  },
  async run({ operands, values, output }) {
    const { readResults, verdictOf } = await import('../../deploy/report/report-result.js');
    const { compareWithBaseline } = await import('../../deploy/report/baseline.js');
    const { textReport, markdownReport } = await import('../../deploy/report/table-report.js');
    const results = readResults(operands);
    const baseline = values.baseline === null ? [] : readResults([values.baseline]);
    const comparisons = compareWithBaseline(results, baseline, values['max-regression']);
    if (values.html !== null) {
      const { htmlReport } = await import('../../deploy/report/html-report.js');
      write(values.html, htmlReport(results, comparisons, baseline));
    }
    if (values.junit !== null) {
      const { junitReport } = await import('../../deploy/report/junit-report.js');
      write(values.junit, junitReport(results, comparisons));
    }
    if (values.markdown !== null) write(values.markdown, markdownReport(results, comparisons));
    const { benchmarkArray, tellGithub } = await import('../../deploy/report/github.js');
    if (values.benchmark !== null)
      write(values.benchmark, `${JSON.stringify(benchmarkArray(results), null, 2)}\n`);
    if (values.ci || process.env.GITHUB_ACTIONS === 'true') {
      tellGithub(results, process.env, (line) => process.stderr.write(`${line}\n`), comparisons);
    }
    output.result({ results, comparisons }, () => textReport(results, comparisons));
    const isWell =
      results.every((result) => verdictOf(result) !== 'failed') &&
      comparisons.every(({ isRegression }) => !isRegression);
    return isWell ? 0 : 1;
  },
});

function write(path: string, content: string): void {
  try {
    writeFileSync(path, content);
  } catch (cause) {
    throw unwritable(path, cause);
  }
}
