/** embed-model report: one table, or one file, out of many results. */
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { unwritable } from '../bundle/output-folder.js';
import { defineCommand } from './command.js';
import { flag, integer, text } from './option.js';

const options = {
  html: text('FILE', 'write a page with charts; it needs no other file and no network'),
  junit: text('FILE', 'write JUnit XML'),
  markdown: text('FILE', 'write the table as Markdown'),
  benchmark: text('FILE', 'write the array that github-action-benchmark takes (customBiggerIsBetter)'),
  baseline: text(
    'FILE',
    'compare with earlier results, as --json writes them here; a folder: all its .json files',
  ),
  history: text(
    'FILE',
    'keep the figures of these runs in FILE, a line each, and show all of them over time in --html',
  ),
  'max-regression': integer('percent that a speed may fall below the baseline', { min: 0, max: 100 }, 10),
  ci: flag('write annotations and a summary for GitHub Actions; on by itself where GITHUB_ACTIONS is true'),
} as const;

export const report = defineCommand({
  name: 'report',
  summary: 'make one report of the results of many boards and runs',
  description: [
    'Takes what build, run, bench and deploy write with --json. Results that belong together are those of the ' +
      'same board, model, target, quantization and number of threads.',
    'Of a bundle, report/result.json is taken, and the page shows its quantization: verdicts of the gates (eval ' +
      '--acceptance), bits of every tensor over the layers, loss against size of all variants that were tried, signal to ' +
      'noise of every tensor, divergence token by token, and the texts of both models side by side. Verdicts are in the other forms, too.',
    'With --baseline, a speed is a regression if it is slower by more than --max-regression percent and by ' +
      'more than three times the noise of the earlier runs (their scaled median absolute deviation). ' +
      'Emulated speed is never compared. With --json, the document holds the results and the comparison: ' +
      'it is the next baseline.',
    '--history adds the figures of these results to a file (made where there is none) that can be kept in the ' +
      'repository of a project; the page then shows the speed of every board over all runs of that file. A result is ' +
      'added once.',
    'A board that gave no result (deploy to several boards, or a document with an error) is an error in all forms ' +
      'and makes the exit code that of its error.',
  ],
  argument: { name: 'RESULT', help: 'files written with --json, and bundles', required: true, many: true },
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
    {
      command: 'embed-model report ./os-nano-x86_64-avx2 --html report.html',
      note: 'how a bundle was quantized, and what that costs',
    },
    {
      command: 'embed-model report pi4.json --history history/pi4.jsonl --html report.html',
      note: 'the speed of pi4 over all runs',
    },
  ],
  cleansUp: false,
  exitCodes: {
    1: 'logits differ somewhere, a speed fell below the baseline, or a bundle was not accepted',
    3: 'a board gave no result',
    4: 'a board was busy',
  },
  async dryRun({ values: { html, junit, markdown, benchmark, history } }) {
    const paths = [html, junit, markdown, benchmark, history].filter((path) => path !== null);
    return { files: paths.map((path) => ({ path, bytes: null })), commands: [], notes: [] };
  },
  async run({ operands, values, output }) {
    const { readResults } = await import('../../deploy/report/report-result.js');
    const { compareWithBaseline } = await import('../../deploy/report/baseline.js');
    const { textReport, markdownReport } = await import('../../deploy/report/table-report.js');
    const { historyEntry, readHistory, appendHistory } = await import('../../deploy/report/history.js');
    const { files, bundles } = resultFiles(operands);
    const { results, failures } = readResults(files);
    const baseline = values.baseline === null ? [] : readResults(baselineFiles(values.baseline)).results;
    const comparisons = compareWithBaseline(results, baseline, values['max-regression']);
    const known = values.history === null ? [] : readHistory(values.history);
    const history = [...baseline.map((result) => historyEntry(result, null)), ...known];
    const { readQuantizationRecords } = await import('../../deploy/report/quantization-records.js');
    const quantizations = bundles.map(readQuantizationRecords);
    const content = { results, failures, comparisons, history, quantizations };
    if (values.html !== null) {
      const { htmlReport } = await import('../../deploy/report/html-report.js');
      write(values.html, htmlReport(content));
    }
    if (values.junit !== null) {
      const { junitReport } = await import('../../deploy/report/junit-report.js');
      write(values.junit, junitReport(content));
    }
    if (values.markdown !== null) write(values.markdown, markdownReport(content));
    const { benchmarkArray, tellGithub } = await import('../../deploy/report/github.js');
    if (values.benchmark !== null)
      write(values.benchmark, `${JSON.stringify(benchmarkArray(results), null, 2)}\n`);
    if (values.history !== null)
      keep(values.history, () => appendHistory(values.history!, known, results, now()));
    if (values.ci || process.env.GITHUB_ACTIONS === 'true') {
      tellGithub(content, process.env, (line) => process.stderr.write(`${line}\n`));
    }
    output.result({ results, failures, comparisons }, () => textReport(content));
    const { reportExitCode } = await import('../../deploy/report/report-exit-code.js');
    return reportExitCode(content);
  },
});

/** Of a bundle its own result is taken, and what it knows about its quantization. */
function resultFiles(operands: readonly string[]): { files: string[]; bundles: string[] } {
  const bundles = operands.filter((path) => existsSync(join(path, 'manifest.json')));
  const files = operands.map((path) => (bundles.includes(path) ? join(path, 'report', 'result.json') : path));
  return { files, bundles };
}

/** Throws EM4041 where there is nothing of that name. */
function baselineFiles(path: string): string[] {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return [path];
  const names = readdirSync(path).filter((name) => name.endsWith('.json'));
  return names.sort().map((name) => join(path, name));
}

const now = () => new Date().toISOString();

function write(path: string, content: string): void {
  keep(path, () => writeFileSync(path, content));
}

/** Throws EM1301. */
function keep(path: string, work: () => void): void {
  try {
    work();
  } catch (cause) {
    throw unwritable(path, cause);
  }
}
