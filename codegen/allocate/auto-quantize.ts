/** `--quantize auto`: sensitivities, allocation, GPTQ, measurement on the emitted C, and a certificate at the end. */
import type { Target } from '../../targets/target.js';
import type { Calibration, CalibrationText } from '../calibrate/calibrate.js';
import type { FloatWeights } from '../calibrate/float-evaluator.js';
import { createLinearAlgebra } from '../calibrate/linear-algebra.js';
import type { ModelSource } from '../checkpoint/model-source.js';
import type { EvaluationText } from '../evaluate/evaluation-text.js';
import type { Graph } from '../graph/graph.js';
import { layOutBlob } from '../layout/blob.js';
import { BLOB_ALIGNMENT } from '../layout/blob-header.js';
import { kernelSetOf } from '../layout/kernel-set.js';
import { blobSections } from '../layout/sections.js';
import { foldGains } from '../lower/fold-gains.js';
import { type IntegerModel, lower } from '../lower/lower.js';
import type { StageContext } from '../progress.js';
import { foldRecord } from '../quantize/folds/folds.js';
import { namedPlans, type Plan } from '../quantize/plan.js';
import { quantizeGraph } from '../quantize/quantize.js';
import { compileTokenizer } from '../tokenizer/compile-tokenizer.js';
import type { AutoRecord, Variant } from './auto-record.js';
import { type AutoTexts, chooseAutoTexts } from './auto-texts.js';
import { certify, sizeAgainst16Bit, whyNotMeasurable } from './certify.js';
import { EmittedJudge } from './emitted-judge.js';
import type { PlanGates } from './plan-gates.js';
import { searchAdvice } from './search-advice.js';
import { type Matrices, type SearchInput, type SearchResult, searchPlan } from './search-plan.js';
import { measureSensitivities, type Sensitivity, type SensitivityInput } from './sensitivity.js';
import { openSensitivityCache } from './sensitivity-cache.js';
import { bytesInFormat, requireRoom, sectionBytes, tooLarge } from './size-limit.js';

export interface AutoInput {
  readonly source: ModelSource;
  readonly graph: Graph;
  /** Those of the checkpoint. */
  readonly weights: FloatWeights;
  readonly calibration: Calibration;
  readonly text: CalibrationText;
  /** Its first half judges plans, the second certifies; null: nothing is certified. */
  readonly validation: EvaluationText | null;
  readonly target: Target;
  readonly groupSize: Plan['groupSize'];
  /** Most that perplexity may grow, as a fraction. */
  readonly maxLoss: number;
  /** Most bytes of the blob; null: as few as maxLoss allows. */
  readonly maxBytes: number | null;
  /** In which each allocation evolves; 0: none does. */
  readonly generations: number;
  /** Judges what is good enough by its loss; null: nothing else was asked for. */
  readonly otherGates: PlanGates | null;
  /** Whether programs may be compiled and run; without, plans are judged in float and nothing is certified. */
  readonly measure: boolean;
}

export interface AutoQuantization {
  readonly plan: Plan;
  readonly matrices: Matrices;
  readonly method: Variant['method'];
  readonly record: AutoRecord;
}

/**
 * Finds plan and integers. Null where the calibration text is too short to fit weights to. Throws EM2030 and EM2031, and what
 * compiling and running throw. A plan that falls short is a result as well: its record says so.
 */
export async function autoQuantize(
  input: AutoInput,
  context: StageContext,
): Promise<AutoQuantization | null> {
  const { graph, text, validation, progress } = { ...input, progress: context.progress };
  const texts = chooseAutoTexts(graph, text, validation);
  if (texts === null) return null;
  const obstacle = input.measure ? await whyNotMeasurable() : null;
  if (obstacle !== null) progress.warn(`plans are judged in float, and nothing is certified: ${obstacle}`);
  const run = new AutoRun(input, texts, input.measure && obstacle === null, context);
  return run.run();
}

/** Stands for the weights of a model, of the checkpoint or scaled. */
function weightsKey({ checkpoint, folds }: ModelSource): string {
  return folds === undefined
    ? checkpoint.sha256()
    : `${checkpoint.sha256()} ${JSON.stringify(foldRecord(folds))}`;
}

class AutoRun {
  constructor(
    readonly input: AutoInput,
    readonly texts: AutoTexts,
    readonly measurable: boolean,
    readonly context: StageContext,
  ) {}

  async run(): Promise<AutoQuantization> {
    const { input, texts, context } = this;
    const { graph, weights, source, groupSize, maxBytes } = input;
    const besides = maxBytes === null ? 0 : await this.#bytesBesides();
    if (maxBytes !== null) requireRoom(graph, input.target, maxBytes, besides); // before minutes of measuring
    const common = {
      graph,
      checkpoint: source.checkpoint,
      weights,
      algebra: createLinearAlgebra(),
      groupSize,
    };
    const problem: SensitivityInput = { ...common, calibration: texts.fitted, probe: texts.probe };
    const compared = { ...problem, calibration: texts.sensitivity };
    const store = openSensitivityCache(compared, weightsKey(source));
    const sensitivities = await measureSensitivities({ ...compared, store }, context);
    const found = await this.#search({ ...problem, groupSize }, sensitivities, besides);
    return this.#finish(found, sensitivities);
  }

  async #search(
    problem: SensitivityInput & { readonly groupSize: Plan['groupSize'] },
    sensitivities: readonly Sensitivity[],
    besides: number,
  ): Promise<SearchResult> {
    const { input, texts, context, measurable } = this;
    const { maxLoss, maxBytes } = input;
    const scored = texts.certification;
    const positions =
      scored === null || !measurable ? null : (scored.ids.length / scored.window) * (scored.window - 1);
    const judge = new EmittedJudge(input.source, texts.allocation, maxLoss);
    const measureEmitted = (plan: Plan, matrices: Matrices) =>
      judge.measure(plan, this.#lower(matrices), context);
    const found = await searchPlan(
      {
        ...problem,
        sensitivities,
        moreCalibration: texts.moreFitted,
        bytesOf: sectionBytes(input.graph, input.target),
        bitsPerWeight: (bytes) => this.#bitsPerWeight(bytes),
        goal: {
          maxLoss,
          maxBytes: maxBytes === null ? null : maxBytes - besides,
          certifiedPositions: positions,
        },
        generations: input.generations,
        measureEmitted: measurable ? measureEmitted : null,
        failedGates: measurable ? this.#failedGates() : null,
      },
      context,
    );
    if (found === null) throw tooLarge(input.graph, input.target, maxBytes!, besides);
    return found;
  }

  #failedGates(): SearchInput['failedGates'] {
    const { input, texts, context } = this;
    const { source, graph, otherGates } = input;
    if (otherGates === null) return null;
    const judged = { source, graph, windows: texts.allocation };
    return (plan, matrices) => otherGates(judged, plan, this.#lower(matrices), context);
  }

  async #finish(found: SearchResult, sensitivities: readonly Sensitivity[]): Promise<AutoQuantization> {
    const { input, texts, context } = this;
    const { maxLoss, maxBytes } = input;
    const { variants, chosen, matrices } = found;
    const { plan, method } = variants[chosen]!;
    const { record, certification: windows } = texts;
    const model = this.#lower(matrices);
    const size = sizeAgainst16Bit(model, input.target);
    const judged = { source: input.source, plan, model };
    const certification =
      windows === null || record.certification === null || !this.measurable
        ? null
        : await certify({ ...judged, windows }, record.certification, maxLoss, size, context);
    const accepted = certification?.accepted ?? null;
    const advice = accepted === false || !found.met ? searchAdvice(maxLoss, maxBytes) : [];
    return {
      ...{ plan, matrices, method },
      record: {
        schemaVersion: 1,
        goal: { maxLoss, maxBytes },
        texts: record,
        ...{ sensitivities, variants, chosen, certification, accepted, advice },
      },
    };
  }

  #lower(matrices: Matrices): IntegerModel {
    const { graph, weights, calibration } = this.input;
    const vector = (name: string) => weights.vector(name);
    return lower({ graph, matrices: foldGains(graph, matrices), vector, ranges: calibration.ranges });
  }

  #bitsPerWeight(bytes: number): number {
    const { matrices, vectors } = this.input.graph;
    const vectorValues = vectors.reduce((sum, { length }) => sum + length, 0);
    const parameters = vectorValues + matrices.reduce((sum, { rows, columns }) => sum + rows * columns, 0);
    return (8 * (bytes + 4 * vectorValues)) / parameters; // vectors are int32
  }

  /** Bytes of the blob that are not of matrices: header, vectors, tables, and at most a gap before each section. */
  async #bytesBesides(): Promise<number> {
    const { graph, source, target } = this.input;
    const plan = namedPlans.int8!;
    const matrices = await quantizeGraph(graph, source.checkpoint, plan, plan.name, this.context);
    const table = source.tokenizer === null ? null : compileTokenizer(source.tokenizer);
    const sections = blobSections(this.#lower(matrices), kernelSetOf(target.kernelSet), table);
    return (
      layOutBlob(sections).blobBytes -
      bytesInFormat(graph, target, 'w8') +
      BLOB_ALIGNMENT * graph.matrices.length
    );
  }
}
