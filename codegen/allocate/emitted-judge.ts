/** Measures plans by the emitted C on one text: the first beside the checkpoint, whose likelihoods then serve for all others. */
import type { ModelSource } from '../checkpoint/model-source.js';
import type { EvaluationWindows } from '../evaluate/evaluation-text.js';
import { likelihoodsOnHost, scoreOnHost, statisticsOf } from '../evaluate/score-on-host.js';
import { lnRatioOf } from '../evaluate/statistics.js';
import type { IntegerModel } from '../lower/lower.js';
import type { StageContext } from '../progress.js';
import type { Plan } from '../quantize/plan.js';
import type { Variant } from './auto-record.js';

type Emitted = NonNullable<Variant['emitted']>;

export class EmittedJudge {
  /** Negative log-likelihoods of the checkpoint by window; null until a plan was measured. */
  #reference: ReadonlyMap<number, Float64Array> | null = null;

  constructor(
    readonly source: ModelSource,
    readonly windows: EvaluationWindows,
    readonly maxLoss: number,
  ) {}

  /** Throws what scoreOnHost throws. */
  measure(plan: Plan, model: IntegerModel, context: StageContext): Promise<Emitted> {
    return this.#reference === null
      ? this.#besideCheckpoint(plan, model, context)
      : this.#alone(this.#reference, plan, model, context);
  }

  async #besideCheckpoint(plan: Plan, model: IntegerModel, context: StageContext): Promise<Emitted> {
    const { source, windows, maxLoss } = this;
    const { reference } = await scoreOnHost(source, plan, model, windows, null, context);
    const nlls = reference.flat().map(({ window, nllReference }) => [window, nllReference] as const);
    this.#reference = new Map(nlls);
    const { lnRatio, kld, tokens } = statisticsOf(reference, maxLoss);
    return { kld: kld.mean, lnRatio: lnRatio.mean, upper95: lnRatio.upper95, positions: tokens };
  }

  async #alone(
    reference: ReadonlyMap<number, Float64Array>,
    plan: Plan,
    model: IntegerModel,
    context: StageContext,
  ): Promise<Emitted> {
    const found = await likelihoodsOnHost(this.source, plan, model, this.windows, context);
    const scores = found.map(({ window, nll }) => ({
      nllReference: reference.get(window)!,
      nllQuantized: nll,
    }));
    const { mean, upper95 } = lnRatioOf(scores, {});
    const positions = scores.reduce((sum, { nllQuantized }) => sum + nllQuantized.length, 0);
    return { kld: null, lnRatio: mean, upper95, positions };
  }
}
