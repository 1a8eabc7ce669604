/** What a benchmark came to, in the words of a terminal. */
import { type BenchResult, runnerAllowanceBytes } from '../../deploy/bench-bundle.js';
import type { Rate } from '../../deploy/result.js';
import type { Conditions } from '../../deploy/session/board-conditions.js';
import { printable } from '../diagnostics/printable.js';
import { formatAmount, formatBytes, formatDuration, formatRate } from './quantities.js';
import { fieldList } from './text-table.js';
import { whereRun } from './where-run.js';

export function benchSummary(result: BenchResult): string {
  const { model, board, build, quantization, speed, bench, output } = result;
  const { promptTokens, generatedTokens, timeToFirstTokenMs, threads } = speed;
  const steps = Math.max(0, (generatedTokens ?? 0) - 1);
  return fieldList([
    [
      'model',
      printable(`${model.name} for ${result.target}, ${quantization.name}, build ${build.id.slice(0, 12)}`),
    ],
    [
      'run',
      printable(
        `${whereRun(board)}, ${formatAmount(threads ?? 0, 'thread')}, ${formatAmount(bench.repeats, 'repeat')}`,
      ),
    ],
    ...(board.emulated ? [['speed', 'emulated: says nothing about a board'] as const] : []),
    ['prefill', `${formatAmount(promptTokens ?? 0, 'token')}, ${rateText(bench.promptTokensPerSecond)}`],
    ['decode', `${formatAmount(steps, 'token')}, ${rateText(speed.tokensPerSecond)}`],
    [
      'first token',
      timeToFirstTokenMs === null ? 'none' : `after ${formatDuration(timeToFirstTokenMs / 1000)}`,
    ],
    ['latency', latencyText(speed.msPerToken)],
    ['peak memory', memoryText(result)],
    ...(board.conditions === undefined ? [] : [['conditions', conditionsText(board.conditions)] as const]),
    ['logits', logitsText(output.matchesGolden)],
    ...result.warnings.map((warning) => ['warning', printable(warning)] as const),
  ]);
}

function rateText({ median, p5, p95 }: Rate): string {
  if (median === null || p5 === null || p95 === null) return 'too few to measure';
  return `${formatRate(median, 'token')} (p5 ${formatRate(p5, 'token')}, p95 ${formatRate(p95, 'token')})`;
}

function latencyText({ p50, p90, p99 }: BenchResult['speed']['msPerToken']): string {
  if (p50 === null || p90 === null || p99 === null) return 'too few tokens to measure';
  return `p50 ${p50} ms, p90 ${p90} ms, p99 ${p99} ms a token`;
}

function memoryText({ memory, files, bench, board }: BenchResult): string {
  const { peakRssBytes, arenaBytes } = memory;
  const parts = `blob ${formatBytes(files.blobBytes)} + arena ${formatBytes(arenaBytes)}`;
  if (peakRssBytes === null) {
    return `not measured${board.emulated ? ': it would be that of the emulator' : ''}; ${parts}`;
  }
  const rest = peakRssBytes - files.blobBytes - arenaBytes;
  const verdict = bench.peakRssWithinLimit ? 'within' : 'ABOVE';
  return `${formatBytes(peakRssBytes)} = ${parts} + ${formatBytes(rest)} of code and stacks (${verdict} the limit of ${formatBytes(runnerAllowanceBytes)})`;
}

/** What the board tells of its clock, heat and power; what it does not tell is left out. */
function conditionsText({ governor, frequencyMHz, temperatureC, throttled, energyJ }: Conditions): string {
  const change = (unit: string, { before, after }: Conditions['temperatureC']) =>
    before === null || after === null
      ? []
      : [before === after ? `${after} ${unit}` : `${before} to ${after} ${unit}`];
  const told = [
    ...(governor === null ? [] : [`governor ${governor}`]),
    ...change('MHz', frequencyMHz),
    ...change('°C', temperatureC),
    ...(throttled === null ? [] : [throttled ? 'THROTTLED' : 'not throttled']),
    ...(energyJ === null ? [] : [`${energyJ} J`]),
  ];
  return told.length === 0 ? 'the board does not tell' : printable(told.join(', '));
}

function logitsText(matches: boolean | null): string {
  if (matches === null) return 'not checked: the bundle has no golden run';
  return matches
    ? 'equal to the golden ones'
    : 'NOT EQUAL to the golden ones: this build computes something else';
}
