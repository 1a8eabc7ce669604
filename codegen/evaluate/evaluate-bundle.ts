/** eval: rebuilds a bundle for this machine and measures how much worse it predicts a text than its checkpoint in float. */
import { type Manifest, readManifest } from '../bundle/manifest.js';
import type { ModelSource } from '../checkpoint/model-source.js';
import { EmbedError } from '../diagnostics/error.js';
import type { Graph } from '../graph/graph.js';
import { kernelSetOf } from '../layout/kernel-set.js';
import type { StageContext } from '../progress.js';
import {
  cutWindows,
  type EvaluationText,
  type EvaluationWindows,
  readIds,
  readText,
} from './evaluation-text.js';
import { type HostBuild, withHostBuild } from './host-build.js';
import { hostTarget } from './host-target.js';
import { openReferenceSource, type ReferenceModel, readReference } from './reference-model.js';
import { type HostScores, scoreBuild, statisticsOf } from './score-on-host.js';
import type { ValidationStatistics } from './statistics.js';
import { type IntegerCost, type ValidationReport, writeValidationReport } from './validation-report.js';

export interface EvaluateOptions {
  /** Path of a text file, or null. Either this or `ids`. */
  readonly text: string | null;
  /** Path of a file of little-endian uint16 ids, or null. */
  readonly ids: string | null;
  /** Path of the checkpoint; null: the one the manifest names. */
  readonly model: string | null;
  /** Tokens in a window; null: the context. */
  readonly window: number | null;
  /** Most tokens to take of the text; null: all. */
  readonly limit: number | null;
  /** Most that perplexity may grow, as a fraction: 0.02 for 2 %. */
  readonly threshold: number;
  /** Compare with the quantized weights in float as well: what integers alone cost. */
  readonly integerCost: boolean;
}

/** What an evaluation has at hand while its build exists. */
export interface EvaluationSession {
  readonly manifest: Manifest;
  readonly source: ModelSource;
  readonly reference: ReferenceModel;
  readonly windows: EvaluationWindows;
  /** Of the bundle's integers, for this machine, without a tokenizer. */
  readonly build: HostBuild;
  readonly report: ValidationReport;
}

/**
 * Evaluates a bundle and writes <bundle>/report/validation_report.json. The temporary build is removed, whatever happens.
 * Throws EM1401 (no bundle), EM2010 to EM2014, EM3201 (no target runs on this machine), EM3204 and what building throws.
 */
export async function evaluateBundle(
  bundle: string,
  options: EvaluateOptions,
  context: StageContext,
): Promise<ValidationReport> {
  const report = await evaluateWith(bundle, options, context, () => async (session) => session.report);
  writeValidationReport(bundle, report);
  return report;
}

/**
 * What goes on with what an evaluation took. Called before anything that takes long, to read and refuse what else was given; what it
 * returns is called with the figures.
 */
export type Evaluation<T> = (
  source: ModelSource,
  manifest: Manifest,
) => (session: EvaluationSession) => Promise<T>;

/** Evaluates a bundle and goes on with `begin`. Writes nothing that stays; throws what that and evaluateBundle throw. */
export async function evaluateWith<T>(
  bundle: string,
  options: EvaluateOptions,
  context: StageContext,
  begin: Evaluation<T>,
): Promise<T> {
  const manifest = readManifest(bundle);
  const source = openReferenceSource(manifest, options.model);
  try {
    const text = readEvaluationText(options, source);
    const windows = chooseWindows(text, options, manifest, context);
    const use = begin(source, manifest);
    const target = await hostTarget();
    const reference = await readReference(bundle, manifest, source, context);
    const { model, matrices } = reference;
    const compared = options.integerCost ? matrices : null;
    return await withHostBuild({ target }, source, manifest.plan, model, context, async (build) => {
      const scores = await scoreBuild(build, source, model, windows, compared, context);
      const report = composeReport(manifest, reference.graph, text, windows, options, scores);
      return use({ manifest, source, reference, windows, build, report });
    });
  } finally {
    source.checkpoint.close();
  }
}

export function readEvaluationText(
  { text, ids }: EvaluateOptions,
  { checkpoint, ...source }: ModelSource,
): EvaluationText {
  const { vocabSize, eosIds } = checkpoint.config;
  if (ids !== null && source.vocabulary !== undefined) {
    const why = 'holds ids of the whole vocabulary, and that of the bundle is pruned';
    throw new EmbedError('EM1140', { where: ids, why, fix: 'evaluate with --text' });
  }
  if (ids !== null) return readIds(ids, vocabSize);
  if (text === null) {
    throw new EmbedError('EM2012', { where: 'eval', why: 'neither a text nor ids were given' });
  }
  if (source.tokenizer === null) {
    const why = 'the bundle was built without a tokenizer, so only --ids can be used';
    throw new EmbedError('EM2012', { where: text, why });
  }
  return readText(text, source.tokenizer, eosIds);
}

export function chooseWindows(
  text: EvaluationText,
  options: EvaluateOptions,
  manifest: Manifest,
  { progress }: StageContext,
): EvaluationWindows {
  const asked = options.window ?? manifest.context;
  if (!Number.isInteger(asked) || asked < 2 || asked > manifest.context) {
    const why = `${asked} is not from 2 to the context of ${manifest.context}`;
    throw new EmbedError('EM1202', { where: '--window', why });
  }
  const windows = cutWindows(text, asked, options.limit);
  if (windows.window < asked) {
    progress.warn(
      `${text.name}: ${windows.window} tokens fill no window of ${asked}; they are evaluated as one`,
    );
  } else if (windows.left > 0) {
    progress.warn(
      `${text.name}: the last ${windows.left} tokens fill no window of ${asked} and are left out`,
    );
  }
  return windows;
}

function composeReport(
  manifest: Manifest,
  graph: Graph,
  text: EvaluationText,
  { window }: EvaluationWindows,
  { threshold, integerCost }: EvaluateOptions,
  scores: HostScores,
): ValidationReport {
  const layout = kernelSetOf(manifest.targetSpec.kernelSet).layoutFor('w16');
  const sum = (bytes: readonly number[]) => bytes.reduce((total, one) => total + one, 0);
  const bytes16 = sum(graph.matrices.map(({ rows, columns }) => layout.sectionBytes('w16', rows, columns)));
  const cost = integerCost ? statisticsOf(scores.integerCost, threshold) : null;
  return {
    schemaVersion: 1,
    model: manifest.model.name,
    plan: manifest.plan.name,
    text: { name: text.name, sha256: text.sha256 },
    window,
    ...statisticsOf(scores.reference, threshold),
    speedAgainst16Bit: null,
    sizeAgainst16Bit: sum(manifest.tensors.map((tensor) => tensor.bytes)) / bytes16,
    threshold,
    integerCost: cost === null ? null : integerCostOf(cost),
  };
}

function integerCostOf({ reference, lnRatio, kld, sameTop }: ValidationStatistics): IntegerCost {
  return { reference, lnRatio, kld, sameTop };
}
