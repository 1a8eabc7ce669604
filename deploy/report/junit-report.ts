/** JUnit XML that CI systems read (a subset of junit-10.xsd of the Jenkins xUnit plugin): a suite a result or failure. */
import type { Acceptance } from '../../codegen/accept/acceptance.js';
import { type Comparison, comparisonsOf } from './baseline.js';
import { type BoardFailure, failureText } from './board-failure.js';
import { escapeMarkup } from './escape-markup.js';
import { acceptancesOf } from './quantization-records.js';
import type { ReportContent } from './report-content.js';
import { boardName, type ReportResult, verdictOf } from './report-result.js';

interface TestCase {
  readonly name: string;
  readonly seconds: number;
  readonly failure: string | null;
  /** What kept it from being tested. */
  readonly error: string | null;
  readonly skipped: string | null;
}

export function junitReport({
  results,
  failures: boards,
  comparisons,
  quantizations,
}: ReportContent): string {
  const suites = [
    ...results.map((result) => suiteOf(result, comparisons)),
    ...acceptancesOf(quantizations).map(acceptanceSuite),
    ...boards.map(failedSuite),
  ];
  const total = (count: (suite: Suite) => number) => suites.reduce((sum, suite) => sum + count(suite), 0);
  const failures = total(({ cases }) => cases.filter(({ failure }) => failure !== null).length);
  const errors = total(({ cases }) => cases.filter(({ error }) => error !== null).length);
  const tests = total(({ cases }) => cases.length);
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="embed-model" tests="${tests}" failures="${failures}" errors="${errors}">`,
    ...suites.map(suiteXml),
    '</testsuites>',
    '',
  ].join('\n');
}

/** A case a gate; one that was not judged is skipped. */
function acceptanceSuite({ model, plan, target, gates }: Acceptance): Suite {
  const cases = gates.map(({ name, passed, text }) => ({
    ...{ name, seconds: 0, error: null },
    failure: passed === false ? text : null,
    skipped: passed === null ? text : null,
  }));
  return { name: `acceptance.${model}.${plan}.${target}`, cases, properties: [] };
}

interface Suite {
  readonly name: string;
  readonly cases: readonly TestCase[];
  readonly properties: readonly (readonly [string, string])[];
}

function suiteOf(result: ReportResult, comparisons: readonly Comparison[]): Suite {
  const { speed, memory, build, board, model, target } = result;
  const decodeSeconds = (result.bench?.tokenMs ?? []).flat().reduce((sum, ms) => sum + ms / 1000, 0);
  const golden = {
    passed: null,
    'not checked': null,
    failed: 'tokens or logits digest differ from the reference',
  };
  const verdict = verdictOf(result);
  const cases: TestCase[] = [
    {
      name: 'logits equal the reference',
      seconds: decodeSeconds,
      failure: golden[verdict],
      error: null,
      skipped: verdict === 'not checked' ? 'nothing to compare with' : null,
    },
    ...comparisonsOf(result, comparisons).map((one) => ({
      name: `${one.what} speed`,
      seconds: 0,
      failure: one.isRegression
        ? `${one.found.toFixed(2)} tokens/s, ${one.changePercent.toFixed(1)} % against ${one.expected.toFixed(2)}`
        : null,
      error: null,
      skipped: null,
    })),
  ];
  const figures: readonly (readonly [string, string | number | null])[] = [
    ['board', boardName(result)],
    ['transport', board.transport],
    ['emulated', String(board.emulated)],
    ['cpu', board.cpu],
    ['kernel', board.kernel],
    ['model', model.name],
    ['target', target],
    ['build', build.id],
    ['tokensPerSecond', speed.tokensPerSecond.median],
    ['promptTokensPerSecond', speed.promptTokensPerSecond],
    ['timeToFirstTokenMs', speed.timeToFirstTokenMs],
    ['peakRssBytes', memory.peakRssBytes],
  ];
  const properties = figures.flatMap(([name, value]) =>
    value === null ? [] : [[name, String(value)] as const],
  );
  return { name: `${boardName(result)}.${model.name}.${target}`, cases, properties };
}

/** A board that could not be reached, or could not do what was asked, has one test that was never run. */
function failedSuite(failure: BoardFailure): Suite {
  const { exitCode, code, where, fix } = failure.error;
  // Exit code 1 is a verdict over the product, as of a bundle that was refused; the others are the surroundings.
  const [message, isVerdict] = [failureText(failure), exitCode === 1];
  const one = {
    name: 'logits equal the reference',
    seconds: 0,
    failure: isVerdict ? message : null,
    error: isVerdict ? null : message,
    skipped: null,
  };
  const properties = [
    ['board', failure.board],
    ['code', code],
    ['where', where],
    ['fix', fix],
  ] as const;
  return { name: failure.board, cases: [one], properties };
}

function suiteXml({ name, cases, properties }: Suite): string {
  const failures = cases.filter(({ failure }) => failure !== null).length;
  const errors = cases.filter(({ error }) => error !== null).length;
  const skipped = cases.filter((one) => one.skipped !== null).length;
  const seconds = cases.reduce((sum, one) => sum + one.seconds, 0);
  return [
    `  <testsuite name="${escapeMarkup(name)}" tests="${cases.length}" failures="${failures}" errors="${errors}" skipped="${skipped}" time="${seconds.toFixed(3)}">`,
    '    <properties>',
    ...properties.map(([key, value]) => `      <property name="${key}" value="${escapeMarkup(value)}"/>`),
    '    </properties>',
    ...cases.map((one) => caseXml(name, one)),
    '  </testsuite>',
  ].join('\n');
}

function caseXml(suite: string, { name, seconds, failure, error, skipped }: TestCase): string {
  const head = `    <testcase classname="${escapeMarkup(suite)}" name="${escapeMarkup(name)}" time="${seconds.toFixed(3)}"`;
  if (failure !== null) return `${head}><failure message="${escapeMarkup(failure)}"/></testcase>`;
  if (error !== null) return `${head}><error message="${escapeMarkup(error)}"/></testcase>`;
  return skipped === null ? `${head}/>` : `${head}><skipped message="${escapeMarkup(skipped)}"/></testcase>`;
}
