/** The texts of an automatic quantization: what weights are fitted to, what plans are judged on, and what certifies the last one. */
import { createHash } from 'node:crypto';
import type { CalibrationText } from '../calibrate/calibrate.js';
import { calibrationWindows } from '../calibrate/calibration-windows.js';
import { EmbedError } from '../diagnostics/error.js';
import type { EvaluationText, EvaluationWindows } from '../evaluate/evaluation-text.js';
import type { Graph } from '../graph/graph.js';
import type { AutoText } from './auto-record.js';

export interface AutoTexts {
  /** Windows that weights are fitted to. */
  readonly fitted: readonly (readonly number[])[];
  /** The first of them: enough to compare formats of one matrix with each other. */
  readonly sensitivity: readonly (readonly number[])[];
  /** Up to twice as many, for a second attempt; null where the text has no more. */
  readonly moreFitted: readonly (readonly number[])[] | null;
  /** The begin of the allocation text, whose float logits are held in memory. */
  readonly probe: readonly (readonly number[])[];
  readonly allocation: EvaluationWindows;
  /** Null without a validation text. */
  readonly certification: EvaluationWindows | null;
  readonly record: {
    readonly calibration: AutoText;
    readonly allocation: AutoText;
    readonly certification: AutoText | null;
  };
}

/** Multiplications by a weight that each use of a text may take: what bounds tokens for large models. */
const FITTING_BUDGET = 2.5e11;
const PROBE_BUDGET = 1.5e11;
const JUDGING_BUDGET = 5e11;
const CERTIFYING_BUDGET = 1e12;
const SENSITIVITY_TOKENS = 4096;
/** A certificate wants this many windows at least (statistics.ts). */
const LEAST_WINDOWS = 32;
const WINDOW = 256;
const PROBE_WINDOW = 128;

const clamp = (value: number, least: number, most: number) =>
  Math.max(least, Math.min(most, Math.floor(value)));

/**
 * Cuts the texts. The first half of the validation text judges plans, the second certifies; without one, plans are judged on what
 * follows in the calibration text. Null where the calibration text is too short to fit weights to. Throws EM2030 where the
 * validation text cannot be told from the calibration text.
 */
export function chooseAutoTexts(
  graph: Graph,
  calibration: CalibrationText,
  validation: EvaluationText | null,
): AutoTexts | null {
  const weights = weightCount(graph);
  const fittedTokens = clamp(FITTING_BUDGET / weights, 8192, 32768);
  const fitted = calibrationWindows(calibration.ids, graph.context, fittedTokens);
  if (fitted === null) return null;
  const more = calibrationWindows(calibration.ids, graph.context, 2 * fittedTokens)!;
  const calibrationIds = Int32Array.from(fitted.fitted.flat());
  const name = calibration.source;
  const judged =
    validation === null
      ? { name, ids: Int32Array.from(fitted.judged.flat()) }
      : { name: validation.name, ids: validation.ids.subarray(0, validation.ids.length >> 1) };
  if (validation !== null) refuseSame(calibrationIds, validation);
  const window = windowFor(graph, judged.ids.length);
  const allocation = cut(judged.ids, window, clamp(JUDGING_BUDGET / weights, 8192, 65536));
  const kept = validation === null ? null : certificationHalf(graph, validation);
  const probeTokens = clamp(PROBE_BUDGET / (weights * graph.matrices.length * 0.6), 512, 2048);
  const probeWindow = Math.min(PROBE_WINDOW, window);
  const probe = cut(allocation.ids, probeWindow, probeTokens);
  const grown = more.fitted.length > fitted.fitted.length * 1.25;
  return {
    fitted: fitted.fitted,
    sensitivity: fitted.fitted.slice(0, Math.ceil(SENSITIVITY_TOKENS / fitted.fitted[0]!.length)),
    moreFitted: validation !== null && grown ? more.fitted : null,
    probe: windowsOf(probe),
    allocation,
    certification: kept?.windows ?? null,
    record: {
      calibration: describe(name, calibrationIds, fitted.fitted[0]!.length),
      allocation: describe(judged.name, allocation.ids, window),
      certification: kept?.record ?? null,
    },
  };
}

/** The windows of the second half of a text, which certify. */
export function certificationHalf(
  graph: Graph,
  { name, ids }: EvaluationText,
): { readonly windows: EvaluationWindows; readonly record: AutoText } {
  const half = ids.subarray(ids.length >> 1);
  const window = windowFor(graph, half.length);
  const windows = cut(half, window, clamp(CERTIFYING_BUDGET / weightCount(graph), 8192, 131072));
  return { windows, record: describe(name, windows.ids, window) };
}

function weightCount(graph: Graph): number {
  return graph.matrices.reduce((sum, { rows, columns }) => sum + rows * columns, 0);
}

/** As large as the context allows, unless that leaves too few windows to certify with. */
function windowFor(graph: Graph, tokens: number): number {
  const whole = Math.min(WINDOW, graph.context);
  return Math.max(2, Math.min(whole, Math.max(16, Math.floor(tokens / LEAST_WINDOWS)), tokens));
}

function cut(ids: Int32Array, window: number, limit: number): EvaluationWindows {
  const usable = Math.min(ids.length, Math.max(limit, window));
  const whole = usable - (usable % window);
  return { ids: ids.slice(0, whole), window, left: ids.length - whole };
}

function windowsOf({ ids, window }: EvaluationWindows): number[][] {
  return Array.from({ length: ids.length / window }, (_, w) => [
    ...ids.subarray(w * window, (w + 1) * window),
  ]);
}

function describe(name: string, ids: Int32Array, window: number): AutoText {
  const sha256 = createHash('sha256')
    .update(new Uint8Array(Int32Array.from(ids).buffer))
    .digest('hex');
  return { name, sha256, tokens: ids.length, window, windows: Math.floor(ids.length / window) };
}

/** Ids in a row that are compared to find that one text is part of the other. */
const RUN = 128;

function refuseSame(calibration: Int32Array, { name, ids }: EvaluationText): void {
  if (ids.length < 4 * 2) {
    const why = `${ids.length} tokens; half of them choose the plan, the others certify it`;
    throw new EmbedError('EM2011', { where: name, why });
  }
  const length = Math.min(RUN, calibration.length, ids.length);
  const key = (values: Int32Array, at: number) => values.subarray(at, at + length).join();
  const seen = new Set<string>();
  const hashes = new Set<number>();
  for (let at = 0; at + length <= calibration.length; at += length) {
    seen.add(key(calibration, at));
    for (const hash of runHashes(calibration.subarray(at, at + length), length)) hashes.add(hash);
  }
  let same = 0;
  let at = 0;
  for (const hash of runHashes(ids, length)) {
    if (hashes.has(hash) && seen.has(key(ids, at))) same++;
    at++;
  }
  if (2 * same > seen.size) {
    throw new EmbedError('EM2030', { where: name, why: 'it holds the text that the weights are fitted to' });
  }
}

/** A 32-bit hash of each run of `length` ids, from the first on: each from the one before it (Rabin and Karp). */
function* runHashes(ids: Int32Array, length: number): Generator<number> {
  const base = 0x01000193;
  let leaving = 1; // base^length
  for (let i = 0; i < length; i++) leaving = Math.imul(leaving, base);
  let hash = 0;
  for (const [i, id] of ids.entries()) {
    hash = (Math.imul(hash, base) + id) | 0;
    if (i >= length) hash = (hash - Math.imul(leaving, ids[i - length]!)) | 0;
    if (i >= length - 1) yield hash;
  }
}
