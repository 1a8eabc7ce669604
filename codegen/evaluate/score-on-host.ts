/** Runs an integer model as compiled C on this machine over the windows of a text, beside its checkpoint in float. */
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { unwritable } from '../bundle/output-folder.js';
import type { ModelSource } from '../checkpoint/model-source.js';
import { isRotated } from '../graph/rotate-inputs.js';
import type { StageContext } from '../progress.js';
import type { QuantizedMatrix } from '../quantize/matrix.js';
import type { Plan } from '../quantize/plan.js';
import { type EvaluationJob, evaluateWindows } from './evaluate-windows.js';
import type { EvaluationScores } from './evaluate-worker.js';
import type { EvaluationWindows } from './evaluation-text.js';
import { type HostBuild, withHostBuild } from './host-build.js';
import { hostTarget } from './host-target.js';
import type { WindowLikelihood } from './likelihood-scorer.js';
import type { ReferenceModel } from './reference-model.js';
import { Validation, type ValidationData, type ValidationStatistics } from './statistics.js';

/** Threads of an evaluation at most: each holds a model in float. */
const MAX_THREADS = 8;

export const evaluationThreads = () => Math.min(MAX_THREADS, availableParallelism());

export interface HostScores {
  /** The emitted C against the checkpoint. */
  readonly reference: readonly ValidationData[];
  /** The emitted C against its own weights in float; [] where not asked for. */
  readonly integerCost: readonly ValidationData[];
}

/**
 * Emits, compiles and scores; what was built is removed. `matrices`, as the graph names them, ask for the integers' own cost. Throws
 * EM3201 where no target runs on this machine, EM3204, and what building throws.
 */
export async function scoreOnHost(
  source: ModelSource,
  plan: Plan,
  model: ReferenceModel['model'],
  windows: EvaluationWindows,
  matrices: ReadonlyMap<string, QuantizedMatrix> | null,
  context: StageContext,
): Promise<HostScores> {
  const target = await hostTarget();
  return withHostBuild({ target }, source, plan, model, context, (build) =>
    scoreBuild(build, source, model, windows, matrices, context),
  );
}

/** Emits, compiles and scores how likely the emitted C finds the text: no float model runs. Throws what scoreOnHost throws. */
export async function likelihoodsOnHost(
  source: ModelSource,
  plan: Plan,
  model: ReferenceModel['model'],
  windows: EvaluationWindows,
  context: StageContext,
): Promise<readonly WindowLikelihood[]> {
  const target = await hostTarget();
  return withHostBuild({ target }, source, plan, model, context, async (build) => {
    const job = { ...jobFor(build, source, model, windows, null), likelihoodOnly: true };
    return (await evaluateJob(job, context)).flatMap(({ likelihoods }) => likelihoods);
  });
}

/** The same as scoreOnHost for a build that there is. */
export function scoreBuild(
  build: HostBuild,
  source: ModelSource,
  model: ReferenceModel['model'],
  windows: EvaluationWindows,
  matrices: ReadonlyMap<string, QuantizedMatrix> | null,
  context: StageContext,
): Promise<HostScores> {
  return runJob(jobFor(build, source, model, windows, matrices), context);
}

export function statisticsOf(data: readonly ValidationData[], threshold: number): ValidationStatistics {
  const validation = new Validation();
  for (const part of data) validation.merge(part);
  return validation.report({ threshold });
}

/** What every thread needs; writes the ids where em-run reads them. */
function jobFor(
  build: HostBuild,
  source: ModelSource,
  { graph, logitsFrac }: ReferenceModel['model'],
  { ids, window }: EvaluationWindows,
  matrices: ReadonlyMap<string, QuantizedMatrix> | null,
): EvaluationJob {
  const idsFile = join(build.folder, 'ids');
  try {
    writeFileSync(idsFile, graph.vocabSize > 65536 ? Uint32Array.from(ids) : Uint16Array.from(ids));
  } catch (cause) {
    throw unwritable(idsFile, cause);
  }
  return {
    target: build.target,
    binary: build.binary,
    blob: build.blob,
    idsFile,
    ids,
    window,
    checkpoint: source.path,
    kept: source.vocabulary === undefined ? null : Int32Array.from(source.vocabulary.ids),
    completion: source.completion ?? null,
    folds: source.folds ?? new Map(),
    context: graph.context,
    vocabSize: graph.vocabSize,
    rotate: isRotated(graph),
    logitsFrac,
    matrices,
  };
}

async function evaluateJob(job: EvaluationJob, context: StageContext): Promise<EvaluationScores[]> {
  context.progress.begin('evaluate', job.ids.length / job.window, 'window');
  const scores = await evaluateWindows(job, evaluationThreads(), context);
  context.progress.end(`${job.ids.length} tokens in windows of ${job.window}`);
  return scores;
}

async function runJob(job: EvaluationJob, context: StageContext): Promise<HostScores> {
  const scores = await evaluateJob(job, context);
  return {
    reference: scores.map(({ reference }) => reference),
    integerCost: scores.map(({ integerCost }) => integerCost),
  };
}
