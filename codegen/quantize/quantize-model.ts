/** The quantize stage of a build: the method that changes the predictions least, on text that no weight was fitted to. */
import type { CalibrationText } from '../calibrate/calibrate.js';
import { calibrationWindows, tooShort } from '../calibrate/calibration-windows.js';
import { DivergenceProbe } from '../calibrate/divergence-probe.js';
import type { FloatWeights } from '../calibrate/float-evaluator.js';
import { checkpointWeights, dequantizedWeights } from '../calibrate/float-weights.js';
import { createLinearAlgebra } from '../calibrate/linear-algebra.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import type { Graph } from '../graph/graph.js';
import type { StageContext } from '../progress.js';
import { searchFolds } from './awq/search-folds.js';
import { FoldedCheckpoint } from './folds/folded-checkpoint.js';
import type { Folds } from './folds/folds.js';
import { type FormatName, formats } from './format.js';
import { quantizeSequentially } from './gptq/quantize-sequentially.js';
import type { QuantizedMatrix } from './matrix.js';
import { type Plan, resolvePlan } from './plan.js';
import { quantizeGraph } from './quantize.js';

/** How integers are found, in the order in which they are tried. */
export const methods = ['nearest', 'gptq', 'awq', 'awq+gptq'] as const;
export type Method = (typeof methods)[number];
/** What may be asked for; `auto`: whichever diverges least. */
export type MethodChoice = Method | 'auto';

export const methodNames: Readonly<Record<Method, string>> = {
  nearest: 'round to nearest',
  gptq: 'GPTQ',
  awq: 'AWQ',
  'awq+gptq': 'AWQ and GPTQ',
};

/** What is compared for each choice: nothing is used that rounding to nearest does better. */
const triedFor: Readonly<Record<MethodChoice, readonly Method[]>> = {
  nearest: ['nearest'],
  gptq: ['nearest', 'gptq'],
  awq: ['nearest', 'awq'],
  'awq+gptq': ['nearest', 'awq+gptq'],
  auto: methods,
};

const ROUNDED = 'weights are rounded to nearest';

/** What decided between the methods. */
export interface MethodComparison {
  /** Name of the plan whose weights were compared. */
  readonly plan: string;
  /** Mean Kullback-Leibler divergence from the checkpoint, nats a token, of every method that was tried. */
  readonly divergence: Readonly<Partial<Record<Method, number>>>;
  /** Tokens that methods were given, and positions that were compared; no token is in both. */
  readonly fittedTokens: number;
  readonly comparedPositions: number;
}

export interface ModelQuantization {
  /** Of the checkpoint with `folds`. */
  readonly matrices: ReadonlyMap<string, QuantizedMatrix>;
  readonly method: Method;
  /** Scales that were folded into the checkpoint before; empty where none were. */
  readonly folds: Folds;
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
  readonly method: MethodChoice;
  /** What it means where rounding to nearest does better, for a warning; absent: weights are rounded to nearest. */
  readonly otherwise?: string;
  /** Whether methods are compared; false where it is known that GPTQ does better than rounding, absent: they are. */
  readonly compare?: boolean;
}

/**
 * Quantizes every matrix. Formats of 4 to 6 bits have errors that are worth GPTQ or AWQ; weights that came quantized keep their
 * integers. Why a method was not used where it was asked for, is told as a warning. Throws EM2001 for a plan that does not fit the
 * graph.
 */
export async function quantizeModel(
  input: QuantizationInput,
  context: StageContext,
): Promise<ModelQuantization> {
  const { graph, checkpoint, plan, where, method, text } = input;
  const matrices = await quantizeGraph(graph, checkpoint, plan, where, context);
  const nearest: ModelQuantization = { matrices, method: 'nearest', folds: new Map(), comparison: null };
  const planned = resolvePlan(plan, graph.matrices, where);
  const coarse = [...planned.values()].some((format) => formats[format].grouped);
  const cameQuantized = graph.matrices.some(({ tensor }) => checkpoint.gridOf?.(tensor) !== undefined);
  if (method === 'nearest' || !coarse || cameQuantized) return nearest;
  const windows = calibrationWindows(text.ids, graph.context);
  if (windows === null) {
    context.progress.warn(`${tooShort(text.ids.length)}: ${input.otherwise ?? ROUNDED}`);
    return nearest;
  }
  const run = new MethodRun(input, planned, windows.fitted, context);
  if (input.compare === false) return run.quantize('gptq');
  const candidates = [nearest];
  for (const one of triedFor[method]) {
    const tried = one === 'nearest' ? null : await run.tryMethod(one);
    if (tried !== null) candidates.push(tried);
  }
  return chooseMethod(input, candidates, windows, context);
}

/** The methods over one plan, one checkpoint and the same windows. */
class MethodRun {
  readonly #algebra = createLinearAlgebra();
  #folds: Promise<Folds> | null = null;

  constructor(
    readonly input: QuantizationInput,
    readonly planned: ReadonlyMap<string, FormatName>,
    readonly windows: readonly (readonly number[])[],
    readonly context: StageContext,
  ) {}

  /** Null for AWQ where no scales help, which is said; GPTQ alone in place of both. */
  async tryMethod(method: Exclude<Method, 'nearest'>): Promise<ModelQuantization | null> {
    if (method === 'gptq' || (await this.#searched()).size > 0) return this.quantize(method);
    if (method === 'awq+gptq' && this.input.method === 'auto') return null; // said of AWQ, and GPTQ is tried as well
    const instead = method === 'awq' ? 'weights are rounded as they are' : 'GPTQ fits weights as they are';
    this.context.progress.warn(`${instead}: no channels can be scaled so that they round better`);
    return method === 'awq' ? null : this.quantize('gptq');
  }

  async quantize(method: Exclude<Method, 'nearest'>): Promise<ModelQuantization> {
    const { graph, plan, where } = this.input;
    const folds: Folds = method === 'gptq' ? new Map() : await this.#searched();
    const { checkpoint, weights } = method === 'gptq' ? this.input : this.#folded(folds);
    const matrices =
      method === 'awq'
        ? await quantizeGraph(graph, checkpoint, plan, where, this.context)
        : await quantizeSequentially({ ...this.#problem(), checkpoint, weights }, this.context);
    return { matrices, method, folds, comparison: null };
  }

  #searched(): Promise<Folds> {
    this.#folds ??= searchFolds(this.#problem(), this.context).then(({ folds }) => folds);
    return this.#folds;
  }

  #folded(folds: Folds) {
    const { graph, checkpoint } = this.input;
    const folded = new FoldedCheckpoint(checkpoint, graph, folds);
    return { checkpoint: folded, weights: checkpointWeights(folded, graph) };
  }

  #problem() {
    const { graph, checkpoint, weights, plan } = this.input;
    const { windows, planned } = this;
    const { groupSize } = plan;
    return { graph, checkpoint, weights, algebra: this.#algebra, groupSize, formats: planned, windows };
  }
}

async function chooseMethod(
  { graph, checkpoint, weights, plan, otherwise = ROUNDED }: QuantizationInput,
  candidates: readonly ModelQuantization[],
  { fitted, judged }: NonNullable<ReturnType<typeof calibrationWindows>>,
  { progress, signal }: StageContext,
): Promise<ModelQuantization> {
  progress.begin('compare methods', candidates.length, 'method');
  const probe = await DivergenceProbe.over(graph, weights, judged, signal);
  const divergence: Partial<Record<Method, number>> = {};
  let best: { readonly candidate: ModelQuantization; readonly kld: number } | null = null;
  let comparedPositions = 0;
  for (const candidate of candidates) {
    const folded = new FoldedCheckpoint(checkpoint, graph, candidate.folds);
    const own = dequantizedWeights(folded, graph, candidate.matrices);
    const { kld, positions } = await probe.measure(own, signal);
    divergence[candidate.method] = kld;
    comparedPositions = positions;
    if (best === null || kld < best.kld) best = { candidate, kld };
    progress.advance(1);
  }
  const chosen = best!.candidate;
  const figures = candidates.map((one) => `${methodNames[one.method]} ${divergence[one.method]!.toFixed(4)}`);
  const said = `${figures.reverse().join(', ')} nats a token`;
  progress.end(said);
  // What was asked for, or was there in its place, was not used.
  if (chosen.method === 'nearest' && candidates.length > 1)
    progress.warn(`${otherwise}, which diverges less: ${said}`);
  const fittedTokens = fitted.reduce((sum, ids) => sum + ids.length, 0);
  return { ...chosen, comparison: { plan: plan.name, divergence, fittedTokens, comparedPositions } };
}
