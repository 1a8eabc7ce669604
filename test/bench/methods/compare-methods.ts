/** How far the methods diverge from the checkpoint at 4 bits, and whether groups pay for an offset. */
import { DivergenceProbe } from '../../../codegen/calibrate/divergence-probe.js';
import type { FloatWeights } from '../../../codegen/calibrate/float-evaluator.js';
import { checkpointWeights, dequantizedWeights } from '../../../codegen/calibrate/float-weights.js';
import { createLinearAlgebra } from '../../../codegen/calibrate/linear-algebra.js';
import { OverlaidWeights } from '../../../codegen/calibrate/overlaid-weights.js';
import type { Checkpoint } from '../../../codegen/checkpoint/checkpoint.js';
import { readMatrixRows } from '../../../codegen/graph/rotate-inputs.js';
import type { StageContext } from '../../../codegen/progress.js';
import { searchFolds } from '../../../codegen/quantize/awq/search-folds.js';
import { FoldedCheckpoint } from '../../../codegen/quantize/folds/folded-checkpoint.js';
import { quantizeSequentially } from '../../../codegen/quantize/gptq/quantize-sequentially.js';
import { namedPlans, resolvePlan } from '../../../codegen/quantize/plan.js';
import { quantizeGraph } from '../../../codegen/quantize/quantize.js';
import type { Method } from '../../../codegen/quantize/quantize-model.js';
import { type ComparedModel, windowsOf } from '../compared-model.js';
import { type SimulatedGrid, simulateGroups } from './simulated-groups.js';

export interface MethodModel extends ComparedModel {
  /** Most ids of the validation text that are predicted; absent: 4096. */
  readonly judgedTokens?: number;
}

/** Nats a token. */
export interface MethodFigures {
  readonly methods: Readonly<Record<Method, number>>;
  /** Of weights rounded in float, with exact scales. */
  readonly simulated: readonly (SimulatedGrid & { readonly kld: number })[];
  readonly places: number;
  readonly fittedTokens: number;
  readonly positions: number;
}

const WINDOW = 128;
const FITTED_TOKENS = 8192;
const JUDGED_TOKENS = 4096;

export async function compareMethods(model: MethodModel, context: StageContext): Promise<MethodFigures> {
  const { graph, checkpoint, judgedTokens = JUDGED_TOKENS } = model;
  const weights = checkpointWeights(checkpoint, graph);
  const length = Math.min(WINDOW, graph.context);
  const windows = windowsOf(model.calibration, length, FITTED_TOKENS);
  const judged = windowsOf(model.validation, length, judgedTokens);
  const probe = await DivergenceProbe.over(graph, weights, judged, context.signal);
  let positions = 0;
  const diverge = async (own: FloatWeights) => {
    const found = await probe.measure(own, context.signal);
    positions = found.positions;
    return found.kld;
  };
  const plan = namedPlans.int4!;
  const { groupSize } = plan;
  const formats = resolvePlan(plan, graph.matrices, plan.name);
  const common = { graph, algebra: createLinearAlgebra(), formats, groupSize, windows };
  const { folds } = await searchFolds({ ...common, checkpoint, weights }, context);
  const folded = new FoldedCheckpoint(checkpoint, graph, folds);
  const rounded = async (of: Checkpoint) =>
    diverge(dequantizedWeights(of, graph, await quantizeGraph(graph, of, plan, plan.name, context)));
  const fitted = async (of: Checkpoint, own: FloatWeights) => {
    const matrices = await quantizeSequentially({ ...common, checkpoint: of, weights: own }, context);
    return diverge(dequantizedWeights(of, graph, matrices));
  };
  const methods = {
    nearest: await rounded(checkpoint),
    awq: await rounded(folded),
    gptq: await fitted(checkpoint, weights),
    'awq+gptq': await fitted(folded, checkpointWeights(folded, graph)),
  };
  const simulated: (SimulatedGrid & { readonly kld: number })[] = [];
  for (const bits of [4, 5]) {
    for (const asymmetric of [false, true]) {
      const own = simulatedWeights(model, weights, { bits, asymmetric });
      simulated.push({ bits, asymmetric, kld: await diverge(own) });
    }
  }
  const fittedTokens = windows.reduce((sum, { length }) => sum + length, 0);
  return { methods, simulated, places: folds.size, fittedTokens, positions };
}

function simulatedWeights(
  { graph, checkpoint }: MethodModel,
  weights: FloatWeights,
  grid: SimulatedGrid,
): FloatWeights {
  const overlaid = new OverlaidWeights(weights);
  for (const info of graph.matrices) {
    const exact = readMatrixRows(checkpoint, info, 0, info.rows);
    overlaid.set(info.name, simulateGroups(exact, info.columns, grid), info.columns);
  }
  return overlaid;
}
