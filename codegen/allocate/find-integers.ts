/** The quantize stage: integers by the plan that was asked for, by the one that came with the model, or by one that is searched. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type BuildOptions, MAX_LOSS } from '../build-options.js';
import type { Calibration, CalibrationText } from '../calibrate/calibrate.js';
import { tooShort } from '../calibrate/calibration-windows.js';
import type { FloatWeights } from '../calibrate/float-evaluator.js';
import type { ModelSource } from '../checkpoint/model-source.js';
import { EmbedError } from '../diagnostics/error.js';
import { type EvaluationText, readIds, readText } from '../evaluate/evaluation-text.js';
import type { Graph } from '../graph/graph.js';
import type { StageContext } from '../progress.js';
import type { Plan } from '../quantize/plan.js';
import { type ModelQuantization, quantizeModel } from '../quantize/quantize-model.js';
import { autoQuantize } from './auto-quantize.js';
import type { AutoRecord } from './auto-record.js';
import { type SolvedPlan, solvedPlan } from './solved-plan.js';

export interface FoundIntegers extends ModelQuantization {
  readonly plan: Plan;
  /** Of a search; null where there was none. */
  readonly auto: AutoRecord | null;
  /** The plan that came with the model, where it was used. */
  readonly solved: SolvedPlan | null;
}

export interface IntegersInput {
  readonly source: ModelSource;
  readonly graph: Graph;
  readonly weights: FloatWeights;
  readonly calibration: Calibration;
  readonly text: CalibrationText;
}

/** `measure` says whether programs may be compiled and run. Throws what quantizeModel and autoQuantize throw. */
export async function findIntegers(
  input: IntegersInput,
  options: BuildOptions,
  measure: boolean,
  context: StageContext,
): Promise<FoundIntegers> {
  const { auto = null, method = 'gptq', maxLoss = MAX_LOSS, plan, target } = options;
  const { source, graph, weights, text } = input;
  const quantize = async (planned: Plan, compare: boolean) => {
    const common = { graph, checkpoint: source.checkpoint, weights, text, where: planned.name };
    const found = await quantizeModel({ ...common, plan: planned, method, compare }, context);
    return { ...found, plan: planned, auto: null, solved: null };
  };
  if (auto === null) return quantize(plan, true);
  const { maxBytes, generations = 0 } = auto;
  const asShipped = (options.validation ?? null) === null && options.calibration === null;
  const solved = asShipped && maxBytes === null && generations === 0 ? solvedPlan(source) : null;
  if (solved !== null && solved.certification.threshold === maxLoss) {
    return { ...(await quantize(solved.plan, false)), solved };
  }
  // Minutes of work are not begun unasked: a text to calibrate with, or the word, asks for them.
  if (options.calibration === null && !auto.asked) return quantize(plan, true);
  const validation = readValidationFor(source, graph, options);
  const { groupSize } = plan;
  const goal = { validation, target, groupSize, maxLoss, maxBytes, generations, measure };
  const found = await autoQuantize({ ...input, ...goal }, context);
  if (found !== null) {
    for (const line of found.record.advice) context.progress.warn(line);
    if (validation === null) {
      context.progress.warn('nothing is certified: --validation FILE gives a text to measure the loss on');
    }
    return { ...found, comparison: null, auto: found.record, solved: null };
  }
  context.progress.warn(`${tooShort(text.ids.length)}: auto is ${plan.name} without more --calibration text`);
  return quantize(plan, true);
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
