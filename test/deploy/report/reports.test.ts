import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { EmbedError } from '../../../codegen/diagnostics/error.js';
import { compareWithBaseline } from '../../../deploy/report/baseline.js';
import { boardFailure } from '../../../deploy/report/board-failure.js';
import { annotations, benchmarkArray, tellGithub } from '../../../deploy/report/github.js';
import { appendHistory, historyEntry, readHistory } from '../../../deploy/report/history.js';
import { htmlReport } from '../../../deploy/report/html-report.js';
import { junitReport } from '../../../deploy/report/junit-report.js';
import type { ReportContent } from '../../../deploy/report/report-content.js';
import { reportExitCode } from '../../../deploy/report/report-exit-code.js';
import { type ReportResult, readResults } from '../../../deploy/report/report-result.js';
import { markdownReport, textReport } from '../../../deploy/report/table-report.js';
import { expectError } from '../../codegen/checkpoint/expect-error.js';
import { reportOf, result } from './sample-result.js';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..', '..');
const folder = mkdtempSync(join(tmpdir(), 'em-report-'));
t.teardown(() => rmSync(folder, { recursive: true }));

const boards = [
  result('pi4', 50),
  result('vf2', 12),
  result('virtual', 3, 0, { board: { ...result('', 1).board, name: 'virtual', emulated: true } }),
];
const failed = result('bad', 40, 0, {
  output: { ...result('', 1).output, matchesGolden: false },
  warnings: ['the board was slowed down', '100% %0A'],
});

const gone = boardFailure('far <away>', new EmbedError('EM4010', { where: 'pi@far', why: 'no answer' }));

t.test('a regression is slower than the limit and than the noise', async (t) => {
  const now = [result('pi4', 80)];
  const decode = (baseline: readonly ReportResult[], percent = 10) =>
    compareWithBaseline(now, baseline, percent).find(({ what }) => what === 'decode');
  t.equal(decode([result('pi4', 100)])?.isRegression, true);
  t.equal(Math.round(decode([result('pi4', 100)])?.changePercent ?? 0), -20);
  t.equal(decode([result('pi4', 100)], 25)?.isRegression, false, 'within the limit');
  t.equal(decode([result('pi4', 100, 0.2)])?.isRegression, false, 'runs differ by as much');
  t.equal(decode([result('pi4', 100, 0.02)])?.isRegression, true);
  t.equal(decode([result('pi4', 75)])?.isRegression, false, 'faster');
  t.equal(decode([result('vf2', 100)]), undefined, 'another board');
  t.equal(decode([result('pi4', 100, 0, { target: 'riscv-u74' })]), undefined, 'another target');
  t.same(compareWithBaseline([boards[2]], [boards[2]], 0), [], 'emulated speed is never compared');
});

t.test('tables', async (t) => {
  const text = textReport(
    reportOf([...boards, failed], { comparisons: compareWithBaseline(boards, [result('pi4', 100)], 10) }),
  );
  t.match(text, /pi4 +tiny .*50\.0 \(-5\d\.\d %, REGRESSION\)/);
  t.match(text, /virtual \(emulated\)/);
  t.match(text, /DIFFER/);
  t.match(text, /bad: the board was slowed down/);
  const markdown = markdownReport(reportOf([...boards, failed]));
  t.match(markdown, /\| pi4 \| tiny \\<&"\\> model \|/);
  t.match(markdown, /Emulated speed says nothing/);
});

t.test(
  'JUnit XML is valid by its schema',
  { skip: hasXmllint() ? false : 'xmllint is not installed' },
  async (t) => {
    const path = join(folder, 'junit.xml');
    const noisy = result('b\u0000ad \ud800', 1, 0, {
      board: { ...boards[0].board, name: 'b\u0000ad "\ud800"', kernel: ']]> <x>' },
    });
    writeFileSync(
      path,
      junitReport(
        reportOf([...boards, failed, noisy], {
          failures: [gone],
          comparisons: compareWithBaseline(boards, [result('pi4', 100)], 10),
        }),
      ),
    );
    const schema = join(root, 'test', 'data', 'junit.xsd');
    const { status, stderr } = spawnSync('xmllint', ['--noout', '--schema', schema, path], {
      encoding: 'utf8',
    });
    t.equal(status, 0, stderr);
    const text = readFileSync(path, 'utf8');
    t.match(text, /<testsuites name="embed-model" tests="8" failures="3" errors="1"/);
    t.match(text, /<failure message="tokens or logits digest differ/);
    t.match(text, /<failure message="4\d\.\d\d tokens\/s, -\d+.* % against/);
  },
);

t.test('GitHub: at most ten annotations, what is escaped, the summary', async (t) => {
  t.same(annotations(reportOf([failed])), [
    '::error title=embed-model::bad: logits of tiny <&"> model differ from the reference',
    '::warning title=embed-model::bad: the board was slowed down',
    '::warning title=embed-model::bad: 100%25 %250A',
  ]);
  const many = annotations(
    reportOf(
      Array.from({ length: 25 }, () => failed),
      { failures: [gone] },
    ),
  );
  t.equal(many.filter((line) => line.startsWith('::error')).length, 10);
  t.equal(many[9], '::error title=embed-model::and 17 more');
  const summary = join(folder, 'summary.md');
  tellGithub(reportOf(boards), { GITHUB_STEP_SUMMARY: summary }, () => {});
  t.equal(readFileSync(summary, 'utf8'), markdownReport(reportOf(boards)));
  writeFileSync(summary, 'x'.repeat(1 << 20));
  tellGithub(reportOf(boards), { GITHUB_STEP_SUMMARY: summary }, () => {});
  t.equal(readFileSync(summary).length, 1 << 20, 'one that is full stays as it is');
  t.match(benchmarkArray([boards[0]]), [
    { name: 'pi4 tiny <&"> model cortex-a72 decode', unit: 'tokens/s', value: 50 },
    { unit: 'tokens/s', value: 200 },
  ]);
});

t.test('report.html needs nothing else and shows what there is', async (t) => {
  const html = htmlReport(
    reportOf([...boards, failed], {
      failures: [gone],
      history: [result('pi4', 45), result('pi4', 48)].map((one) => historyEntry(one, null)),
    }),
  );
  t.notMatch(html, /<script|https?:|<link|src=|@import|url\(/);
  t.notMatch(html, /tiny <&/);
  for (const caption of [
    'Speed over the text',
    'Latency',
    'Memory',
    'History of decode',
    'History of prefill',
  ])
    t.match(html, caption);
  t.equal(html.match(/<section>/g)?.length, 4);
  t.match(html, /far &lt;away&gt;.*EM4010: board cannot be reached: no answer.*no result/);
  t.notMatch(html, /NaN|undefined|Infinity/);
  const bare = result('bare', 5);
  const { bench: _, deployment: __, ...without } = bare;
  t.notMatch(htmlReport(reportOf([without])), /NaN|undefined|Infinity/);
});

t.test('the command joins files, compares, writes, and its document is the next baseline', async (t) => {
  const paths = boards.map((one, index) => {
    const path = join(folder, `${index}.json`);
    writeFileSync(path, JSON.stringify(one));
    return path;
  });
  const at = (name: string) => join(folder, name);
  const report = (...args: string[]) => {
    const { GITHUB_ACTIONS: _, ...env } = process.env;
    const program = join(root, 'bin', 'embed-model.js');
    return spawnSync(process.execPath, [program, 'report', ...args], { encoding: 'utf8', env });
  };
  const first = report(
    ...paths,
    '--json',
    '--html',
    at('r.html'),
    '--junit',
    at('r.xml'),
    '--markdown',
    at('r.md'),
    '--benchmark',
    at('b.json'),
  );
  t.equal(first.status, 0, first.stderr);
  for (const name of ['r.html', 'r.xml', 'r.md', 'b.json']) t.ok(existsSync(at(name)), name);
  writeFileSync(at('baseline.json'), first.stdout);
  writeFileSync(at('slow.json'), JSON.stringify(result('pi4', 30)));
  const second = report(at('slow.json'), '--baseline', at('baseline.json'));
  t.equal(second.status, 1);
  t.match(second.stdout, /REGRESSION/);
  t.equal(report(at('slow.json'), '--baseline', at('baseline.json'), '--max-regression', '60').status, 0);
  t.equal(report().status, 2);
});

t.test('a history keeps every run once, and the page shows all of them', async (t) => {
  const path = join(folder, 'history.jsonl');
  t.same(readHistory(path), []);
  const runs = [result('pi4', 40), result('pi4', 44), result('vf2', 10)];
  appendHistory(path, readHistory(path), runs, '2031-01-01T00:00:00.000Z');
  appendHistory(path, readHistory(path), [runs[1], result('pi4', 46)], '2031-01-02T00:00:00.000Z');
  const kept = readHistory(path);
  t.same(
    kept.map(({ decode }) => decode.median),
    [40, 44, 10, 46],
  );
  const html = htmlReport(reportOf([result('pi4', 46)], { history: kept }));
  const [, points] = /History of decode.*?polyline points="([^"]*)"/s.exec(html) ?? [];
  t.equal(points?.split(' ').length, 3, 'three runs of pi4, the last one kept already');
  const several = htmlReport(reportOf([result('pi4', 40), result('pi4', 41)]));
  t.equal(several.match(/<section>/g)?.length, 1, 'several runs of a board are one section');
  writeFileSync(path, `${readFileSync(path, 'utf8')}{"series": 1}\n`);
  expectError(t, 'EM4041', /series is not string/, () => readHistory(path));
  writeFileSync(path, '\n{"series"');
  expectError(t, 'EM4041', /./, () => readHistory(path));
});

t.test('boards without a result: in every form, and in the exit code', async (t) => {
  const path = join(folder, 'fleet.json');
  writeFileSync(path, JSON.stringify({ results: [boards[0]], failures: [gone] }));
  const read = readResults([path]);
  t.same(read.failures, [gone]);
  t.match(textReport(reportOf(read.results, read)), /far <away>: no result: EM4010: .* no answer/);
  t.match(markdownReport(reportOf([], read)), /\*\*no result\*\* from far \\<away\\>/);
  t.match(annotations(reportOf([], read)), ['::error title=embed-model::far <away>: EM4010']);
  const codeOf = (change: Partial<ReportContent>) => reportExitCode(reportOf([boards[0]], change));
  const failing = (code: 'EM4010' | 'EM4030' | 'EM4015' | 'EM4037') =>
    boardFailure('x', new EmbedError(code, { where: 'x', why: 'y' }));
  t.equal(codeOf({}), 0);
  t.equal(codeOf({ failures: [failing('EM4030')] }), 4);
  t.equal(codeOf({ failures: [failing('EM4030'), gone] }), 3);
  t.equal(codeOf({ failures: [failing('EM4030'), gone, failing('EM4015')] }), 2);
  t.equal(codeOf({ failures: [gone, failing('EM4037')] }), 1);
  t.equal(codeOf({ results: [failed], failures: [failing('EM4015')] }), 1);
  writeFileSync(path, JSON.stringify({ error: gone.error }));
  t.match(readResults([path]), { results: [], failures: [{ board: 'pi@far', error: { code: 'EM4010' } }] });
  writeFileSync(path, JSON.stringify({ results: [], failures: [{ board: 'x', error: { code: 1 } }] }));
  expectError(t, 'EM4041', /error.code is not string/, () => readResults([path]));
});

t.test('files that are no results', async (t) => {
  const path = join(folder, 'odd.json');
  for (const [value, pattern] of [
    [{}, /schemaVersion is undefined/],
    [{ results: [null] }, /schemaVersion/],
    [{ ...boards[0], speed: { ...boards[0].speed, msPerToken: { p50: 'x' } } }, /speed.msPerToken.p50/],
    [{ ...boards[0], bench: { repeats: 1, tokenMs: [['1']] } }, /bench.tokenMs/],
    [{ ...boards[0], warnings: [1] }, /warnings/],
  ] as const) {
    writeFileSync(path, JSON.stringify(value));
    expectError(t, 'EM4041', pattern, () => readResults([path]));
  }
  expectError(t, 'EM4041', /no such file/, () => readResults([join(folder, 'absent')]));
});

function hasXmllint(): boolean {
  try {
    execFileSync('xmllint', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
