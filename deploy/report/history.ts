/** What is kept of the runs of a board over time: a line of JSON a run, so that a file of them can be kept in a repository. */
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync } from 'node:fs';
import { parseJsonObject } from '../../codegen/checkpoint/json-object.js';
import { findMisshape, type Shape } from '../../codegen/commands/inspect/record-shape.js';
import { readSmallFile } from '../../codegen/commands/read-small-file.js';
import { EmbedError } from '../../codegen/diagnostics/error.js';
import type { Rate } from '../result.js';
import { type ReportResult, seriesOf, type Verdict, verdictOf } from './report-result.js';

export interface HistoryEntry {
  /** What belongs together over time (seriesOf). */
  readonly series: string;
  /** When it was put down, in ISO 8601; null where that is not known. */
  readonly recorded: string | null;
  /** SHA-256 of the result: the same one is not put down twice. */
  readonly result: string;
  readonly build: string;
  readonly logits: Verdict;
  /** Tokens a second. */
  readonly decode: Rate;
  readonly prefill: number | null;
  readonly timeToFirstTokenMs: number | null;
  readonly peakRssBytes: number | null;
  readonly emulated: boolean;
  /** null: the board does not tell. */
  readonly throttled: boolean | null;
}

/** 100000 runs. */
const mostBytes = 64 << 20;

const entryShape: Shape = {
  fields: {
    series: 'string',
    recorded: 'string|null',
    result: 'string',
    build: 'string',
    logits: 'string',
    decode: { fields: { median: 'number|null', p5: 'number|null', p95: 'number|null' } },
    prefill: 'number|null',
    timeToFirstTokenMs: 'number|null',
    peakRssBytes: 'number|null',
    emulated: 'boolean',
    throttled: 'boolean|null',
  },
};

export function historyEntry(result: ReportResult, recorded: string | null): HistoryEntry {
  const { build, speed, memory, board } = result;
  return {
    series: seriesOf(result),
    recorded,
    result: createHash('sha256').update(JSON.stringify(result)).digest('hex'),
    build: build.id,
    logits: verdictOf(result),
    decode: speed.tokensPerSecond,
    prefill: speed.promptTokensPerSecond,
    timeToFirstTokenMs: speed.timeToFirstTokenMs,
    peakRssBytes: memory.peakRssBytes,
    emulated: board.emulated,
    throttled: board.conditions?.throttled ?? null,
  };
}

/** The runs of a file, oldest first; none where there is no file. Throws EM4041 with the number of the line. */
export function readHistory(path: string): HistoryEntry[] {
  if (!existsSync(path)) return [];
  const lines = Buffer.from(readSmallFile(path, mostBytes, 'EM4041'))
    .toString('utf8')
    .split('\n');
  return lines.flatMap((line, index) => {
    if (line.trim() === '') return [];
    const where = `${path}: line ${index + 1}`;
    const value = parseJsonObject(Buffer.from(line), where, 'EM4041');
    const wrong = findMisshape(value, entryShape);
    if (wrong !== null) throw new EmbedError('EM4041', { where, why: wrong });
    return [value as unknown as HistoryEntry];
  });
}

/** Adds the results that the file does not have yet. Throws the system's error where it cannot be written. */
export function appendHistory(
  path: string,
  known: readonly HistoryEntry[],
  results: readonly ReportResult[],
  recorded: string,
): void {
  const seen = new Set(known.map(({ result }) => result));
  const fresh = results
    .map((result) => historyEntry(result, recorded))
    .filter(({ result }) => !seen.has(result) && seen.add(result));
  if (fresh.length > 0) appendFileSync(path, fresh.map((one) => `${JSON.stringify(one)}\n`).join(''));
}
