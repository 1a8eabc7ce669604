/** Results as reports take them: those of build, run, bench and deploy, read from files that anybody may have written. */
import { parseJsonObject } from '../../codegen/checkpoint/json-object.js';
import { resultShape } from '../../codegen/commands/inspect/inspect-result.js';
import { findMisshape, type Shape } from '../../codegen/commands/inspect/record-shape.js';
import { readSmallFile } from '../../codegen/commands/read-small-file.js';
import { EmbedError } from '../../codegen/diagnostics/error.js';
import type { BenchFigures } from '../bench-bundle.js';
import type { DeployFigures } from '../deploy-bundle.js';
import type { Result } from '../result.js';
import type { BoardFailure } from './board-failure.js';

export interface ReportResult extends Result {
  readonly bench?: BenchFigures;
  readonly deployment?: DeployFigures;
}

/** A thousand results of a thousand tokens. */
const mostBytes = 64 << 20;

const benchShape: Shape = { fields: { repeats: 'number', tokenMs: { list: { list: 'number' } } } };
const deploymentShape: Shape = { fields: { goldenRuns: 'number', goldenEqual: 'number' } };
const speedShape: Shape = {
  fields: {
    tokensPerSecond: { fields: { median: 'number|null', p5: 'number|null', p95: 'number|null' } },
    msPerToken: { fields: { p50: 'number|null', p90: 'number|null', p99: 'number|null' } },
  },
};

/** What is reported on. */
export interface ReportInput {
  readonly results: readonly ReportResult[];
  /** Boards that gave no result. */
  readonly failures: readonly BoardFailure[];
}

const failureShape: Shape = {
  fields: {
    code: 'string',
    what: 'string',
    where: 'string',
    why: 'string',
    fix: 'string',
    exitCode: 'number',
  },
};

/**
 * What the files hold, in their order: a result, an error as --json tells it, or what deploy to several boards and report write,
 * {"results": [...], "failures": [...]}. Throws EM4041.
 */
export function readResults(paths: readonly string[]): ReportInput {
  const inputs = paths.map((path): ReportInput => {
    const record = parseJsonObject(readSmallFile(path, mostBytes, 'EM4041'), path, 'EM4041');
    if (record.error !== undefined) return { results: [], failures: [checkedFailure(record, path)] };
    const { results, failures } = record;
    if (!Array.isArray(results)) return { results: [checked(record, path)], failures: [] };
    return {
      results: results.map((one) => checked(one, path)),
      failures: Array.isArray(failures) ? failures.map((one) => checkedFailure(one, path)) : [],
    };
  });
  return {
    results: inputs.flatMap(({ results }) => results),
    failures: inputs.flatMap(({ failures }) => failures),
  };
}

function checkedFailure(value: unknown, path: string): BoardFailure {
  const { board, error } = (value ?? {}) as { board?: unknown; error?: unknown };
  const wrong = findMisshape(error, failureShape, 'error');
  if (wrong !== null) throw new EmbedError('EM4041', { where: path, why: wrong });
  const known = error as BoardFailure['error'];
  return { board: typeof board === 'string' ? board : known.where, error: known };
}

function checked(value: unknown, path: string): ReportResult {
  const { schemaVersion, bench, deployment, speed } = (value ?? {}) as Record<string, unknown>;
  const wrong =
    schemaVersion !== 1
      ? `schemaVersion is ${String(schemaVersion)}; this version reads 1`
      : (findMisshape(value, resultShape) ??
        findMisshape(speed, speedShape, 'speed') ??
        (bench === undefined ? null : findMisshape(bench, benchShape, 'bench')) ??
        (deployment === undefined ? null : findMisshape(deployment, deploymentShape, 'deployment')));
  if (wrong !== null) throw new EmbedError('EM4041', { where: path, why: wrong });
  return value as ReportResult;
}

/** Where it was measured, in a word. */
export const boardName = ({ board }: ReportResult): string => board.name ?? 'not run';

/** What of a result belongs together over time: board, model, target, quantization and threads. */
export const seriesOf = (result: ReportResult): string =>
  [boardName(result), result.model.name, result.target, result.quantization.name, result.speed.threads].join(
    ' / ',
  );

export type Verdict = 'passed' | 'failed' | 'not checked';

/** Whether what ran computes what the reference does. */
export function verdictOf({ output, deployment }: ReportResult): Verdict {
  if (deployment !== undefined && deployment.goldenEqual !== deployment.goldenRuns) return 'failed';
  if (output.matchesGolden === null) return 'not checked';
  return output.matchesGolden ? 'passed' : 'failed';
}
