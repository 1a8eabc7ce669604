/** Finds the smallest plan whose loss stays below a limit, or the one that loses least within a size: allocated, then measured. */
import { type Divergence, DivergenceProbe } from '../calibrate/divergence-probe.js';
import { dequantizedWeights } from '../calibrate/float-weights.js';
import type { StageContext } from '../progress.js';
import { quantizeSequentially } from '../quantize/gptq/quantize-sequentially.js';
import type { QuantizedMatrix } from '../quantize/matrix.js';
import type { Plan } from '../quantize/plan.js';
import { type Allocation, type BytesOf, closestAllocation, smallestAllocation } from './allocate-bits.js';
import { allocatedFormats, measureSensitivities, type SensitivityInput } from './sensitivity.js';

/** What the plan is to do. */
export type Goal =
  | {
      readonly kind: 'loss';
      /** Most that perplexity may grow, as a fraction. */
      readonly maxLoss: number;
      /** Positions that the loss will be certified on; their noise is allowed for. */
      readonly certifiedPositions: number;
    }
  | {
      readonly kind: 'bytes';
      /** Most bytes that the sections of all matrices may take. */
      readonly maxBytes: number;
    };

type LossGoal = Extract<Goal, { kind: 'loss' }>;

/** `calibration` and `probe` of the sensitivities must not overlap; the probe is what plans are measured on as well. */
export interface SolveInput extends Omit<SensitivityInput, 'groupSize'> {
  readonly groupSize: Plan['groupSize'];
  readonly bytesOf: BytesOf;
  readonly goal: Goal;
}

/** One plan that was tried. */
export interface Round {
  readonly plan: Plan;
  /** Sum of the sections of all matrices. */
  readonly bytes: number;
  /** Divergence that the additive model predicts, nats a token. */
  readonly predicted: number;
  /** What quantizing by the plan gave, in float. */
  readonly measured: Divergence;
}

export interface Solution {
  /** In the order in which they were tried. */
  readonly rounds: readonly Round[];
  /** The round whose plan is the best. */
  readonly chosen: Round;
  readonly matrices: ReadonlyMap<string, QuantizedMatrix>;
  /** Whether the chosen plan does what was asked, as far as float can tell. */
  readonly met: boolean;
}

/**
 * ln of the perplexity ratio that integer activations, norms, softmax and KV cache add to that of the weights: measured with
 * eval --integer-cost, 0.0023 on os-nano and 0.0025 on os-tiny.
 */
const INTEGER_COST = 0.0025;
/** Upper end of a one-sided 95 % interval, in standard errors. */
const ERRORS_95 = 1.645;
/** Share of the allowed loss that is allocated at first: loss on text is some 1.4 times the divergence. */
const FIRST_SHARE = 0.6;
/** A plan that uses this share of the allowed loss is not worth another round. */
const ENOUGH = 0.85;
const MAX_ROUNDS = 4;

/**
 * Solves for the goal. Divergences of single matrices add up only nearly, and loss is not divergence, so each plan is quantized
 * and measured, and the budget of the next one scaled by what was allowed over what was found. Null where no allocation can meet
 * the goal even by its prediction.
 */
export async function solvePlan(input: SolveInput, context: StageContext): Promise<Solution | null> {
  const sensitivities = await measureSensitivities(input, context);
  const probe = await DivergenceProbe.over(input.graph, input.weights, input.probe, context.signal);
  const { goal, bytesOf } = input;
  const tryPlan = (allocation: Allocation) => measurePlan(input, allocation, probe, context);
  if (goal.kind === 'bytes') {
    const allocation = closestAllocation(sensitivities, bytesOf, goal.maxBytes);
    if (allocation === null) return null;
    const { round, matrices } = await tryPlan(allocation);
    return { rounds: [round], chosen: round, matrices, met: true };
  }
  const attempts: Attempt[] = [];
  let budget = FIRST_SHARE * (Math.log1p(goal.maxLoss) - INTEGER_COST);
  while (attempts.length < MAX_ROUNDS && budget > 0) {
    const allocation = smallestAllocation(sensitivities, bytesOf, budget);
    if (allocation === null || attempts.some(({ round }) => round.bytes === allocation.bytes)) break;
    const attempt = await tryPlan(allocation);
    attempts.push(attempt);
    const share = usedShare(attempt.round.measured, goal);
    if (share <= 1 && share >= ENOUGH) break;
    budget /= Math.min(4, Math.max(1 / 4, share));
  }
  return attempts.length === 0 ? null : chooseAttempt(attempts, goal);
}

interface Attempt {
  readonly round: Round;
  readonly matrices: ReadonlyMap<string, QuantizedMatrix>;
}

/**
 * Upper end of the loss that a certification would find, over what is left of the limit after the integers' share. Divergence
 * counts where it is larger than the loss, which on little text can be small by luck.
 */
function usedShare({ kld, lnRatio }: Divergence, { maxLoss, certifiedPositions }: LossGoal): number {
  const noise = ERRORS_95 * Math.sqrt((2 * kld) / certifiedPositions); // the loss of a token deviates by some sqrt(2 kld)
  return (Math.max(kld, lnRatio) + noise) / (Math.log1p(maxLoss) - INTEGER_COST);
}

/** The smallest that meets the goal, else the one that comes nearest to it. */
function chooseAttempt(attempts: readonly Attempt[], goal: LossGoal): Solution {
  const share = ({ round }: Attempt) => usedShare(round.measured, goal);
  const good = attempts.filter((attempt) => share(attempt) <= 1);
  const better = (a: Attempt, b: Attempt) =>
    good.length > 0 ? a.round.bytes < b.round.bytes : share(a) < share(b);
  const pool = good.length > 0 ? good : attempts;
  const chosen = pool.reduce((best, one) => (better(one, best) ? one : best));
  return {
    rounds: attempts.map(({ round }) => round),
    chosen: chosen.round,
    matrices: chosen.matrices,
    met: good.length > 0,
  };
}

async function measurePlan(
  input: SolveInput,
  allocation: Allocation,
  probe: DivergenceProbe,
  context: StageContext,
): Promise<Attempt> {
  const { graph, checkpoint, weights, algebra, groupSize, calibration } = input;
  const { formats } = allocation;
  const common = { graph, checkpoint, weights, algebra, groupSize };
  const matrices = await quantizeSequentially({ ...common, formats, windows: calibration }, context);
  const { progress, signal } = context;
  progress.begin('measure plan', 1, 'plan');
  const measured = await probe.measure(dequantizedWeights(checkpoint, graph, matrices), signal);
  const rotate = graph.matrices.some(({ rotationStages }) => rotationStages !== undefined);
  const plan = { ...planOf(formats, groupSize), rotate };
  const round = { plan, bytes: allocation.bytes, predicted: allocation.divergence, measured };
  progress.end(describeRound(round, input));
  return { round, matrices };
}

/** An allocation as a plan that can be given back: one rule a matrix, the most common format last and for all others. */
export function planOf(formats: Allocation['formats'], groupSize: Plan['groupSize']): Plan {
  const count = (format: string) => [...formats.values()].filter((one) => one === format).length;
  const common = allocatedFormats.reduce((most, one) => (count(one) > count(most) ? one : most));
  const rules = [...formats]
    .filter(([, format]) => format !== common)
    .map(([match, format]) => ({ match, format }));
  return { schemaVersion: 1, name: 'auto', groupSize, rules: [...rules, { match: '*', format: common }] };
}

function describeRound({ bytes, predicted, measured }: Round, { graph }: SolveInput): string {
  const weights = graph.matrices.reduce((sum, { rows, columns }) => sum + rows * columns, 0);
  const bits = ((8 * bytes) / weights).toFixed(2);
  const loss = (100 * Math.expm1(measured.lnRatio)).toFixed(2);
  return `${bits} bits a weight: divergence ${measured.kld.toFixed(4)} (predicted ${predicted.toFixed(4)}), perplexity +${loss} % in float`;
}
