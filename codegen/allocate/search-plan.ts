/**
 * Looks for the smallest plan whose loss stays below a limit, or for the one that loses least within a size. Divergences of single
 * matrices add up only nearly, and loss is not divergence: so each plan is quantized and measured, and the next one allocated with
 * what was learnt; where asked, it evolves before it is quantized. When no allocation is good enough, the ladder goes on to more
 * calibration data, the other method and INT8. What is good enough by its loss may fail other gates: then it gets more bits.
 */
import { DivergenceProbe } from '../calibrate/divergence-probe.js';
import { dequantizedWeights } from '../calibrate/float-weights.js';
import { isRotated } from '../graph/rotate-inputs.js';
import type { StageContext } from '../progress.js';
import type { FormatName } from '../quantize/format.js';
import { quantizeSequentially } from '../quantize/gptq/quantize-sequentially.js';
import type { QuantizedMatrix } from '../quantize/matrix.js';
import { namedPlans, type Plan, resolvePlan } from '../quantize/plan.js';
import { quantizeGraph } from '../quantize/quantize.js';
import type { Method } from '../quantize/quantize-model.js';
import { type Allocation, type BytesOf, closestAllocation, smallestAllocation } from './allocate-bits.js';
import type { EvolutionRecord, Rung, Variant } from './auto-record.js';
import { type Evolution, evolveAllocation } from './evolve-allocation.js';
import { FormatLibrary } from './format-library.js';
import { planOf } from './plan-of.js';
import type { Sensitivity, SensitivityInput } from './sensitivity.js';

export type Matrices = ReadonlyMap<string, QuantizedMatrix>;

export interface SearchGoal {
  /** Most that perplexity may grow, as a fraction. */
  readonly maxLoss: number;
  /** Most bytes of all matrices; null: as few as maxLoss allows. */
  readonly maxBytes: number | null;
  /** Positions that the loss will be certified on, whose noise is allowed for; null: nothing will be certified. */
  readonly certifiedPositions: number | null;
}

/** `calibration` and `probe` of the sensitivities must not overlap; the probe is what plans are measured on in float. */
export interface SearchInput extends Omit<SensitivityInput, 'groupSize'> {
  readonly groupSize: Plan['groupSize'];
  readonly sensitivities: readonly Sensitivity[];
  /** More windows to fit weights to, for when a plan falls short; null where there are no more. */
  readonly moreCalibration: SensitivityInput['calibration'] | null;
  readonly bytesOf: BytesOf;
  /** 8 x bytes of all weight tensors over all parameters, from the bytes of all matrices. */
  readonly bitsPerWeight: (bytes: number) => number;
  readonly goal: SearchGoal;
  /** In which each allocation evolves before it is quantized; 0: it stays as it was solved. */
  readonly generations: number;
  /** Measures the emitted C on the allocation text; null where it cannot be run. */
  readonly measureEmitted:
    | ((plan: Plan, matrices: Matrices) => Promise<NonNullable<Variant['emitted']>>)
    | null;
  /** Names of the gates besides the loss that a plan fails; null where none is to be judged. */
  readonly failedGates: ((plan: Plan, matrices: Matrices) => Promise<readonly string[]>) | null;
}

export interface SearchResult {
  readonly variants: readonly Variant[];
  /** Index of the best. */
  readonly chosen: number;
  readonly matrices: Matrices;
  /** Whether the chosen one stays below the limit on the allocation text, the noise of the certification allowed for. */
  readonly met: boolean;
}

/** ln of the perplexity ratio that integer activations, norms, softmax and KV cache add to that of the weights; where unmeasured. */
const INTEGER_COST = 0.0012;
/** Upper end of a one-sided 95 % interval, in standard errors. */
const ERRORS_95 = 1.645;
/** The same of 90 %: how much worse than the allocation text the certification text may be by chance. */
const ERRORS_90 = 1.282;
/** Loss on text over divergence, where it was not measured yet. */
const FIRST_SLOPE = 1.2;
/** Of loss over divergence, from one model and text to another. */
const LOSS_SPREAD = 0.25;
/** A plan that uses this share of the limit is not worth another attempt; the next one aims between it and 1. */
const ENOUGH = 0.95;
const AIM = 0.985;
/** How much nearer to the limit than the nearest attempt the next one is at least, as a factor of its divergence. */
const STEP = 1.03;
const MOST_ALLOCATIONS = 4;
/** Of the divergence of a plan that fails other gates: what the next ones may have. */
const CLOSER = [1 / 2, 1 / 4];
/** Children of a generation, and the seed that they are drawn from. */
const OFFSPRING = 8;
const EVOLUTION_SEED = 1;

/** The least divergence within `maxBytes` where that is given, else the smallest below `maxLoss`; null where not even 4 bits fit. */
export async function searchPlan(input: SearchInput, context: StageContext): Promise<SearchResult | null> {
  const probe = await DivergenceProbe.over(input.graph, input.weights, input.probe, context.signal);
  return new PlanSearch(input, probe, context).run();
}

/** An allocation as it was solved, before any evolution, and what a certification must expect of what became of it. */
interface Point extends Expected {
  readonly bytes: number;
  /** Predicted. */
  readonly divergence: number;
}

interface Attempt {
  readonly index: number;
  readonly share: number;
  readonly variant: Variant;
  readonly matrices: Matrices;
}

class PlanSearch {
  readonly #variants: Variant[] = [];
  /** What the next allocation is extrapolated from. */
  readonly #allocated: Point[] = [];
  /** Divergence of the emitted C over that of its weights in float, from the first attempt: it is not measured again. */
  #emittedOverFloat = 1;
  #library: FormatLibrary | null = null;
  #best: Attempt | null = null;
  #last: Attempt | null = null;

  constructor(
    readonly input: SearchInput,
    readonly probe: DivergenceProbe,
    readonly context: StageContext,
  ) {}

  async run(): Promise<SearchResult | null> {
    const { goal, bytesOf, sensitivities } = this.input;
    if (goal.maxBytes !== null) {
      const allocation = closestAllocation(sensitivities, bytesOf, goal.maxBytes);
      if (allocation === null) return null;
      await this.#tryAllocation('first allocation', allocation, this.input.calibration);
    } else {
      await this.#allocate();
      await this.#climb();
      await this.#stayCloser();
    }
    const { index, matrices, share } = this.#best!;
    return { variants: this.#variants, chosen: index, matrices, met: share <= 1 };
  }

  /** Allocations for budgets that come nearer and nearer to what the limit allows. */
  async #allocate(): Promise<void> {
    const { sensitivities, bytesOf } = this.input;
    let rung: Rung = 'first allocation';
    for (let n = 0; n < MOST_ALLOCATIONS; n++) {
      const budget = this.#nextBudget();
      const allocation = budget > 0 ? smallestAllocation(sensitivities, bytesOf, budget) : null;
      if (allocation === null || this.#allocated.some(({ bytes }) => bytes === allocation.bytes)) return;
      const share = await this.#tryAllocation(rung, allocation, this.input.calibration);
      if (share <= 1 && share >= ENOUGH) return;
      rung = share > 1 ? 'more bits where they help most' : 'fewer bits, because there was room';
    }
  }

  /** What is tried when no allocation stays below the limit. */
  async #climb(): Promise<void> {
    const { moreCalibration, graph } = this.input;
    const best = () => this.#best;
    const failing = () => (best()?.share ?? Number.POSITIVE_INFINITY) > 1;
    const formatsOf = (plan: Plan) => resolvePlan(plan, graph.matrices, plan.name);
    const again = best()?.variant;
    if (failing() && again !== undefined) {
      this.context.progress.warn(`${describeShare(best()!.share)}: trying what else there is`);
      const { plan, predicted } = again;
      if (moreCalibration !== null) {
        await this.#try('more calibration data', plan, predicted, formatsOf(plan), moreCalibration);
      }
      if (failing()) await this.#try('other method', plan, predicted, formatsOf(plan), null);
    }
    if (failing()) await this.#tryInt8('int8');
  }

  /** What is tried when the best by its loss fails other gates. Where nothing passes, the smallest stays. */
  async #stayCloser(): Promise<void> {
    const start = this.#best!;
    if (start.share > 1 || (await this.#passesGates(start))) return;
    const { predicted } = start.variant;
    if (predicted === null) return; // int8 already
    for (const part of CLOSER) {
      if (await this.#takes(() => this.#tryCloser(part * predicted))) return;
    }
    await this.#takes(() => this.#tryInt8('int8 for the other gates'));
  }

  /** Tries a plan, and takes it if it passes all gates. */
  async #takes(attempt: () => Promise<unknown>): Promise<boolean> {
    const before = this.#last;
    await attempt();
    const last = this.#last!;
    const passes = last !== before && last.share <= 1 && (await this.#passesGates(last));
    if (passes) this.#best = last;
    return passes;
  }

  async #tryCloser(budget: number): Promise<void> {
    const { sensitivities, bytesOf, calibration } = this.input;
    const allocation = smallestAllocation(sensitivities, bytesOf, budget);
    if (allocation !== null)
      await this.#tryAllocation('more bits for the other gates', allocation, calibration);
  }

  async #tryInt8(rung: Rung): Promise<number> {
    const { graph, groupSize } = this.input;
    const plan = { ...namedPlans.int8!, groupSize, rotate: isRotated(graph) };
    return this.#try(rung, plan, null, resolvePlan(plan, graph.matrices, plan.name), null);
  }

  /** Judges the gates besides the loss, if there are any, and records them. */
  async #passesGates({ index, variant, matrices }: Attempt): Promise<boolean> {
    const { failedGates } = this.input;
    if (failedGates === null) return true;
    const failed = await failedGates(variant.plan, matrices);
    this.#variants[index] = { ...variant, failedGates: failed };
    if (failed.length > 0) {
      const next = variant.predicted === null ? 'no plan has more bits' : 'trying more bits';
      this.context.progress.warn(`the plan fails by ${failed.join(' and ')}: ${next}`);
    }
    return failed.length === 0;
  }

  async #tryAllocation(
    rung: Rung,
    start: Allocation,
    windows: SensitivityInput['calibration'],
  ): Promise<number> {
    const { groupSize, graph } = this.input;
    const asPlan = ({ formats }: Allocation) => planOf(formats, groupSize, isRotated(graph));
    const evolution = await this.#evolve(start);
    const allocation = evolution?.allocation ?? start;
    const { formats, divergence } = allocation;
    const record = evolution === null ? null : recordOf(evolution, asPlan(start));
    const share = await this.#try(rung, asPlan(allocation), divergence, formats, windows, record);
    const expected = expectedLoss(this.#variants.at(-1)!, this.input.goal, this.#emittedOverFloat);
    this.#allocated.push({ bytes: start.bytes, divergence: start.divergence, ...expected });
    return share;
  }

  /** What diverges least on the probe within the bytes of an allocation; null where nothing is to evolve. */
  async #evolve(start: Allocation): Promise<Evolution | null> {
    const { input, context } = this;
    const { sensitivities, bytesOf, generations } = input;
    if (generations === 0) return null;
    this.#library ??= await FormatLibrary.build(input, context);
    const library = this.#library;
    const fitness: Parameters<typeof evolveAllocation>[0]['fitness'] = (formats) =>
      library.divergence(formats, context.signal);
    const drawn = { generations, offspring: OFFSPRING, seed: EVOLUTION_SEED };
    return evolveAllocation({ start, sensitivities, bytesOf, fitness, ...drawn }, context);
  }

  /** Quantizes by GPTQ on the windows, or to nearest without any; measures; returns the share of the limit. */
  async #try(
    rung: Rung,
    plan: Plan,
    predicted: number | null,
    formats: ReadonlyMap<string, FormatName>,
    windows: SensitivityInput['calibration'] | null,
    evolution: EvolutionRecord | null = null,
  ): Promise<number> {
    const { input, context } = this;
    const { graph, checkpoint, weights, algebra, groupSize, measureEmitted } = input;
    const matrices =
      windows === null
        ? await quantizeGraph(graph, checkpoint, plan, plan.name, context)
        : await quantizeSequentially(
            { graph, checkpoint, weights, algebra, groupSize, formats, windows },
            context,
          );
    const method: Method = windows === null ? 'nearest' : 'gptq';
    const bytes = graph.matrices.reduce(
      (sum, { name }) => sum + input.bytesOf(name, formats.get(name) as Parameters<BytesOf>[1]),
      0,
    );
    const emitted = measureEmitted === null ? null : await measureEmitted(plan, matrices);
    context.progress.begin('judge plan', 1, 'plan');
    const weightsOf = dequantizedWeights(checkpoint, graph, matrices);
    const float = await this.probe.measure(weightsOf, context.signal);
    const fittedTokens = (windows ?? []).reduce((sum, { length }) => sum + length, 0);
    const bitsPerWeight = input.bitsPerWeight(bytes);
    const common = { rung, plan, method, fittedTokens, bytes, bitsPerWeight };
    const variant: Variant = { ...common, predicted, evolution, float, emitted, failedGates: null };
    if (typeof emitted?.kld === 'number' && float.kld > 0) this.#emittedOverFloat = emitted.kld / float.kld;
    const share = usedShare(variant, input.goal, this.#emittedOverFloat);
    this.#variants.push(variant);
    this.#last = { index: this.#variants.length - 1, share, variant, matrices };
    this.#keep(this.#last);
    context.progress.end(describeVariant(variant, share));
    return share;
  }

  /** The smallest that stays below the limit, else the one that comes nearest to it. */
  #keep(attempt: Attempt): void {
    const best = this.#best;
    const isBetter =
      best === null ||
      (attempt.share <= 1 && best.share <= 1
        ? attempt.variant.bytes < best.variant.bytes
        : attempt.share < best.share);
    if (isBetter) this.#best = attempt;
  }

  /** Divergence that the next allocation may have. Zero or less: none. */
  #nextBudget(): number {
    const limit = Math.log1p(this.input.goal.maxLoss);
    const points = this.#allocated;
    if (points.length === 0) return (AIM * limit - INTEGER_COST) / FIRST_SLOPE / 1.15; // noise of the measurements
    const budget = extrapolateBudget(points, AIM * limit);
    const isAbove = ({ mean, noise }: Point) => mean + noise > limit;
    const most = Math.min(...points.filter(isAbove).map(({ divergence }) => divergence / STEP));
    const least = Math.max(
      ...points.filter((point) => !isAbove(point)).map(({ divergence }) => divergence * STEP),
    );
    // Between what is known to lose too little and too much there is nothing left to find, or it lies there.
    return least > most ? 0 : Math.min(most, Math.max(least, budget));
  }
}

/**
 * The divergence with which the upper end of the loss comes to `aim`. What integers cost aside, loss is in proportion to divergence, in
 * a ratio that is a property of model and text: all attempts together say it better than the line through any two, whose
 * difference may be all noise. The noise of a mean grows with the root of the divergence.
 */
export function extrapolateBudget(
  points: readonly Pick<Point, 'divergence' | 'mean' | 'noise'>[],
  aim: number,
): number {
  const sum = (of: (point: (typeof points)[number]) => number) =>
    points.reduce((total, point) => total + of(point), 0);
  const divergences = sum(({ divergence }) => divergence);
  const slope = Math.max(0.3, sum(({ mean }) => mean - INTEGER_COST) / divergences);
  const noise = sum(({ noise, divergence }) => noise / Math.sqrt(divergence)) / points.length;
  const room = Math.max(0, aim - INTEGER_COST);
  const root = (Math.sqrt(noise ** 2 + 4 * slope * room) - noise) / (2 * slope); // of slope x + noise sqrt(x) = room
  return root ** 2;
}

/** ln of perplexity over that of the checkpoint: what a certification must expect, and what it may find above that by chance. */
interface Expected {
  readonly mean: number;
  readonly noise: number;
}

/**
 * What a certification must expect to find as the upper end of the loss. Both texts are samples: their errors are allowed for.
 * Where divergence is larger than the loss, which on little text can be small by luck, it counts by how little the text says: what
 * the loss is expected to be before it is measured is the divergence, give or take a quarter of it.
 */
function expectedLoss(
  { float, emitted }: Pick<Variant, 'float' | 'emitted'>,
  { certifiedPositions }: SearchGoal,
  emittedOverFloat: number,
): Expected {
  const found = emitted ?? { ...float!, lnRatio: float!.lnRatio + INTEGER_COST, upper95: null };
  const { lnRatio, upper95, positions } = found;
  const kld = found.kld ?? (float?.kld ?? 0) * emittedOverFloat;
  // The loss of a token deviates by some sqrt(2 kld).
  const own = upper95 === null ? Math.sqrt((2 * kld) / positions) : (upper95 - lnRatio) / ERRORS_95;
  const later = certifiedPositions === null ? 0 : own * Math.sqrt(positions / certifiedPositions);
  const trust = own ** 2 / (own ** 2 + (LOSS_SPREAD * kld) ** 2 || 1);
  return {
    mean: lnRatio + trust * Math.max(0, kld - lnRatio),
    noise: ERRORS_95 * later + ERRORS_90 * Math.hypot(own, later),
  };
}

/**
 * What a certification must expect to find as the upper end of the loss, over the limit. `emittedOverFloat` stands in for the divergence
 * of the emitted C where only that in float was measured.
 */
export function usedShare(
  found: Pick<Variant, 'float' | 'emitted'>,
  goal: SearchGoal,
  emittedOverFloat = 1,
): number {
  const { mean, noise } = expectedLoss(found, goal, emittedOverFloat);
  return (mean + noise) / Math.log1p(goal.maxLoss);
}

function recordOf({ seed, start, history, fitness }: Evolution, from: Plan): EvolutionRecord {
  return { seed, from, start, history, fitness };
}

const describeShare = (share: number) =>
  `a certification would find ${(100 * share).toFixed(0)} % of what may be lost`;

function describeVariant({ bitsPerWeight, predicted, float, emitted }: Variant, share: number): string {
  const percent = (value: number) => (100 * Math.expm1(value)).toFixed(2);
  const found =
    emitted === null
      ? `${percent(float!.lnRatio)} % in float`
      : `${percent(emitted.lnRatio)} %, upper end ${percent(emitted.upper95 ?? emitted.lnRatio)} %`;
  const said =
    predicted === null ? '' : ` (divergence ${float!.kld.toFixed(4)}, predicted ${predicted.toFixed(4)})`;
  return `${bitsPerWeight.toFixed(2)} bits a weight: perplexity +${found}${said}; ${describeShare(share)}`;
}
