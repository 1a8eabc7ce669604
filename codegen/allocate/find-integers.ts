/** The quantize stage: integers by the plan that was asked for, by the one that came with the model, or by one that is searched. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type BuildOptions, MAX_LOSS } from '../build-options.js';
import type { Calibration, CalibrationText } from '../calibrate/calibrate.js';
import { tooShort } from '../calibrate/calibration-windows.js';
import type { FloatWeights } from '../calibrate/float-evaluator.js';
import { checkpointWeights } from '../calibrate/float-weights.js';
import type { ModelSource } from '../checkpoint/model-source.js';
import { EmbedError } from '../diagnostics/error.js';
import { type EvaluationText, readIds, readText } from '../evaluate/evaluation-text.js';
import type { Graph } from '../graph/graph.js';
import type { StageContext } from '../progress.js';
import { foldedSource } from '../quantize/folds/folded-source.js';
import type { Folds } from '../quantize/folds/folds.js';
import { namedPlans, type Plan } from '../quantize/plan.js';
import { type MethodComparison, type ModelQuantization, quantizeModel } from '../quantize/quantize-model.js';
import { type AutoQuantization, autoQuantize } from './auto-quantize.js';
import type { AutoRecord, Variant } from './auto-record.js';
import type { PlanGates } from './plan-gates.js';
import { type SolvedPlan, solvedPlan } from './solved-plan.js';

/** A checkpoint in float and the ranges of its activations. */
export interface CalibratedModel {
  readonly source: ModelSource;
  readonly weights: FloatWeights;
  readonly calibration: Calibration;
}

export interface FoundIntegers extends Omit<ModelQuantization, 'folds'> {
  /** What the matrices are of: the model that was given, or the same with scales of channels folded into it. */
  readonly model: CalibratedModel;
  readonly plan: Plan;
  /** Of a search; null where there was none. */
  readonly auto: AutoRecord | null;
  /** The plan that came with the model, where it was used. */
  readonly solved: SolvedPlan | null;
}

export interface IntegersInput extends CalibratedModel {
  readonly graph: Graph;
  readonly text: CalibrationText;
  /** Of an acceptance, for a search; null where the loss alone is judged. */
  readonly otherGates: PlanGates | null;
  /** Calibrates other weights of the same graph with the same text. */
  readonly recalibrate: (weights: FloatWeights) => Promise<Calibration>;
}

/** `measure` says whether programs may be compiled and run. Throws what quantizeModel and autoQuantize throw. */
export async function findIntegers(
  input: IntegersInput,
  options: BuildOptions,
  measure: boolean,
  context: StageContext,
): Promise<FoundIntegers> {
  const { auto = null, method = 'gptq', maxLoss = MAX_LOSS, plan, target } = options;
  const { source, graph, weights, text, otherGates } = input;
  const quantize = async (planned: Plan, compare: boolean) => {
    const common = { graph, checkpoint: source.checkpoint, weights, text, where: planned.name };
    const quantized = await quantizeModel({ ...common, plan: planned, method, compare }, context);
    const { folds, ...found } = quantized;
    return { ...found, model: await withFolds(input, folds), plan: planned, auto: null, solved: null };
  };
  if (auto === null) return quantize(plan, true);
  const { maxBytes, generations = 0 } = auto;
  const asShipped =
    method === 'gptq' && (options.validation ?? null) === null && options.calibration === null;
  const solved = asShipped && maxBytes === null && generations === 0 ? solvedPlan(source) : null;
  if (solved !== null && solved.certification.threshold === maxLoss) {
    return { ...(await quantize(solved.plan, false)), solved };
  }
  // Minutes of work are not begun unasked: a text to calibrate with, or the word, asks for them.
  if (options.calibration === null && !auto.asked) return quantize(plan, true);
  const validation = readValidationFor(source, graph, options);
  const { groupSize } = plan;
  const goal = { validation, target, groupSize, maxLoss, maxBytes, generations, otherGates, measure };
  const scaled =
    method === 'gptq' ? { model: input, comparison: null } : await scaleChannels(input, options, context);
  const found = await autoQuantize({ ...input, ...scaled.model, ...goal }, context);
  if (found !== null) {
    for (const line of found.record.advice) context.progress.warn(line);
    if (validation === null) {
      context.progress.warn('nothing is certified: --validation FILE gives a text to measure the loss on');
    }
    return { ...scaled, ...namedAs(found, scaled.model !== input), solved: null };
  }
  context.progress.warn(`${tooShort(text.ids.length)}: auto is ${plan.name} without more --calibration text`);
  return quantize(plan, true);
}

/** The model with scales folded into it, and its ranges; as it was given where there are none. */
async function withFolds(input: IntegersInput, folds: Folds): Promise<CalibratedModel> {
  const { graph, recalibrate } = input;
  if (folds.size === 0) return input;
  const source = foldedSource(input.source, graph, folds);
  const weights = checkpointWeights(source.checkpoint, graph);
  return { source, weights, calibration: await recalibrate(weights) };
}

/** What a search begins with where AWQ was asked for: the scales are those that help most in 4 bits, if any do. */
async function scaleChannels(
  input: IntegersInput,
  { method = 'gptq', plan: { groupSize, rotate } }: BuildOptions,
  context: StageContext,
): Promise<{ readonly model: CalibratedModel; readonly comparison: MethodComparison | null }> {
  const { source, graph, weights, text } = input;
  const plan = { ...namedPlans.int4!, groupSize, ...(rotate === undefined ? {} : { rotate }) };
  const otherwise = 'channels are not scaled before GPTQ';
  const { folds, comparison } = await quantizeModel(
    { ...{ graph, checkpoint: source.checkpoint, weights, text, plan, where: plan.name, method }, otherwise },
    context,
  );
  return { model: await withFolds(input, folds), comparison };
}

/** What a search found, its methods named after the scales that it began with, if it did. */
function namedAs(found: AutoQuantization, scaled: boolean) {
  const { plan, matrices, method, record } = found;
  const named = (one: Variant['method']): Variant['method'] => (one === 'gptq' ? 'awq+gptq' : 'awq');
  if (!scaled) return { plan, matrices, method, auto: record };
  const variants = record.variants.map((variant) => ({ ...variant, method: named(variant.method) }));
  return { plan, matrices, method: named(method), auto: { ...record, variants } };
}

/** The text that the user named, or what lies beside a model that is calibrated with its own. */
export function readValidationFor(
  source: ModelSource,
  graph: Graph,
  { validation = null, auto = null, calibration }: BuildOptions,
): EvaluationText | null {
  const { tokenizer, checkpoint, vocabulary } = source;
  if (validation !== null) {
    if (!validation.endsWith('.u16')) {
      if (tokenizer !== null) return readText(validation, tokenizer, checkpoint.config.eosIds);
      const why = 'the model has no tokenizer, so only a .u16 file of ids can be used';
      throw new EmbedError('EM2012', { where: validation, why });
    }
    if (vocabulary === undefined) return readIds(validation, graph.vocabSize);
    const why = 'holds ids of the whole vocabulary, and this one is pruned';
    throw new EmbedError('EM1140', { where: validation, why });
  }
  const own = join(source.path, 'validation.u16');
  const isOwn = auto !== null && calibration === null && vocabulary === undefined && existsSync(own);
  return isOwn ? readIds(own, graph.vocabSize) : null;
}

/** What a search measured of each matrix in the format that it chose: nats a token, alone. Null without a search. */
export function chosenDivergences({ auto, matrices }: FoundIntegers): ReadonlyMap<string, number> | null {
  if (auto === null) return null;
  return new Map(
    auto.sensitivities.map(({ matrix, divergence }) => {
      const { format } = matrices.get(matrix)!;
      return [matrix, (divergence as Readonly<Record<string, number>>)[format] ?? 0];
    }),
  );
}
