/** The quantize stage of a build: the method that changes the predictions least, on text that no weight was fitted to. */
import type { CalibrationText } from '../calibrate/calibrate.js';
import { calibrationWindows, tooShort } from '../calibrate/calibration-windows.js';
import { DivergenceProbe } from '../calibrate/divergence-probe.js';
import type { FloatWeights } from '../calibrate/float-evaluator.js';
import { dequantizedWeights } from '../calibrate/float-weights.js';
import { createLinearAlgebra } from '../calibrate/linear-algebra.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import type { Graph } from '../graph/graph.js';
import type { StageContext } from '../progress.js';
import { type FormatName, formats } from './format.js';
import { quantizeSequentially } from './gptq/quantize-sequentially.js';
import type { QuantizedMatrix } from './matrix.js';
import { type Plan, resolvePlan } from './plan.js';
import { quantizeGraph } from './quantize.js';

/** How integers are found. `gptq` falls back to `nearest` where it is of no use. */
export const methods = ['gptq', 'nearest'] as const;
export type Method = (typeof methods)[number];

export const methodNames: Readonly<Record<Method, string>> = {
  gptq: 'GPTQ',
  nearest: 'round to nearest',
};

/** What decided between the methods. */
export interface MethodComparison {
  /** Mean Kullback-Leibler divergence from the checkpoint, nats a token. */
  readonly divergence: Readonly<Record<Method, number>>;
  /** Tokens that GPTQ was given, and positions that were compared; no token is in both. */
  readonly fittedTokens: number;
  readonly comparedPositions: number;
}

export interface ModelQuantization {
  readonly matrices: ReadonlyMap<string, QuantizedMatrix>;
  readonly method: Method;
  /** Null where only one method was tried. */
  readonly comparison: MethodComparison | null;
}

export interface QuantizationInput {
  readonly graph: Graph;
  readonly checkpoint: Checkpoint;
  /** Those of the checkpoint. */
  readonly weights: FloatWeights;
  readonly plan: Plan;
  /** Names the plan in errors. */
  readonly where: string;
  readonly text: CalibrationText;
  readonly method: Method;
  /** Whether GPTQ must do better than rounding to nearest to be used; false where that is known, absent: it must. */
  readonly compare?: boolean;
}

/**
 * Quantizes every matrix. Formats of 4 to 6 bits have errors that are worth GPTQ; weights that came quantized keep their integers.
 * Why GPTQ was not used where it was asked for, is told as a warning. Throws EM2001 for a plan that does not fit the graph.
 */
export async function quantizeModel(
  input: QuantizationInput,
  context: StageContext,
): Promise<ModelQuantization> {
  const { graph, checkpoint, plan, where, method, text } = input;
  const matrices = await quantizeGraph(graph, checkpoint, plan, where, context);
  const nearest = { matrices, method: 'nearest', comparison: null } as const;
  const planned = resolvePlan(plan, graph.matrices, where);
  const coarse = [...planned.values()].some((format) => formats[format].grouped);
  const cameQuantized = graph.matrices.some(({ tensor }) => checkpoint.gridOf?.(tensor) !== undefined);
  if (method === 'nearest' || !coarse || cameQuantized) return nearest;
  const windows = calibrationWindows(text.ids, graph.context);
  if (windows === null) {
    context.progress.warn(`${tooShort(text.ids.length)}: weights are rounded to nearest`);
    return nearest;
  }
  const fitted = await fit(input, planned, windows.fitted, context);
  if (input.compare === false) return { matrices: fitted, method: 'gptq', comparison: null };
  return chooseMethod(input, { nearest: matrices, gptq: fitted }, windows, context);
}

function fit(
  { graph, checkpoint, weights, plan }: QuantizationInput,
  planned: ReadonlyMap<string, FormatName>,
  windows: readonly (readonly number[])[],
  context: StageContext,
) {
  const algebra = createLinearAlgebra();
  const { groupSize } = plan;
  return quantizeSequentially(
    { graph, checkpoint, weights, algebra, groupSize, formats: planned, windows },
    context,
  );
}

async function chooseMethod(
  { graph, checkpoint, weights }: QuantizationInput,
  candidates: Readonly<Record<Method, ReadonlyMap<string, QuantizedMatrix>>>,
  { fitted, judged }: NonNullable<ReturnType<typeof calibrationWindows>>,
  { progress, signal }: StageContext,
): Promise<ModelQuantization> {
  progress.begin('compare methods', methods.length, 'method');
  const probe = await DivergenceProbe.over(graph, weights, judged, signal);
  const divergence: Record<Method, number> = { gptq: 0, nearest: 0 };
  let comparedPositions = 0;
  for (const method of methods) {
    const own = dequantizedWeights(checkpoint, graph, candidates[method]);
    const { kld, positions } = await probe.measure(own, signal);
    divergence[method] = kld;
    comparedPositions = positions;
    progress.advance(1);
  }
  const method = divergence.gptq < divergence.nearest ? 'gptq' : 'nearest';
  const said = `GPTQ ${divergence.gptq.toFixed(4)}, rounding to nearest ${divergence.nearest.toFixed(4)} nats a token`;
  progress.end(said);
  if (method === 'nearest') progress.warn(`weights are rounded to nearest, which diverges less: ${said}`);
  const fittedTokens = fitted.reduce((sum, ids) => sum + ids.length, 0);
  return {
    matrices: candidates[method],
    method,
    comparison: { divergence, fittedTokens, comparedPositions },
  };
}
