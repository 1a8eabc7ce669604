/** Judges a quantized model gate by gate: its loss, and what it promises against the same model in float and with 16-bit weights. */
import type { Manifest } from '../bundle/manifest.js';
import type { ReferenceModel } from '../evaluate/reference-model.js';
import type { ValidationReport } from '../evaluate/validation-report.js';
import type { StageContext } from '../progress.js';
import { type Acceptance, verdictOf } from './acceptance.js';
import type { acceptanceFiles } from './acceptance-files.js';
import { type BehaviourInput, BehaviourJudge, type HostProgram } from './behaviour.js';
import { gateAdvice } from './gate-advice.js';
import { lossGate, meanBits, repetitionGate, sizeGate, speedGate, taskGate } from './gates.js';
import { type OutputComparison, sideBySide } from './output-comparison.js';
import { measureSixteenBitSpeed } from './sixteen-bit-speed.js';
import type { TaskScore } from './task-score.js';

export interface JudgedModel extends BehaviourInput {
  readonly manifest: Manifest;
  readonly reference: Pick<ReferenceModel, 'graph' | 'weights' | 'model'>;
  /** For this machine; or why it cannot run the model. */
  readonly build: HostProgram | string;
  /** What the loss was found to be; or why it is not known. */
  readonly report: ValidationReport | string;
  readonly sizeAgainst16Bit: number | null;
  /** Most that perplexity may grow, as a fraction. */
  readonly threshold: number;
}

export interface AcceptanceResult {
  /** With the speed in it; null where the loss is not known. */
  readonly report: ValidationReport | null;
  readonly acceptance: Acceptance;
  /** null where nothing could be run. */
  readonly comparison: OutputComparison | null;
}

/** Runs what there is to run; there is a prompt where there is a build. A gate that cannot be judged is open, and says why. */
export async function judgeModel(judged: JudgedModel, context: StageContext): Promise<AcceptanceResult> {
  const { manifest, build, task, sizeAgainst16Bit, threshold } = judged;
  const measured = typeof build === 'string' ? unmeasured(build) : await measure(judged, build, context);
  const { comparison, score, speed } = measured;
  const speedAgainst16Bit = typeof speed === 'string' ? null : speed.ratio.median;
  const report = typeof judged.report === 'string' ? null : { ...judged.report, speedAgainst16Bit };
  const bits = meanBits(manifest.tensors);
  const gates = [
    lossGate(report ?? `${judged.report}`, threshold),
    speedGate(speed, bits),
    sizeGate(sizeAgainst16Bit, bits),
    repetitionGate(comparison),
    ...(task === null ? [] : [taskGate(score!)]),
  ];
  const acceptance: Acceptance = {
    ...{ schemaVersion: 1, model: manifest.model.name, target: manifest.target, plan: manifest.plan.name },
    ...{ build: manifest.build, text: report?.text ?? null, gates, accepted: verdictOf(gates) },
    advice: gateAdvice(gates, manifest.plan.name),
  };
  return { report, acceptance, comparison: typeof comparison === 'string' ? null : comparison };
}

/** The records of an acceptance, by their names in the folder report of a bundle. */
export function acceptanceRecords({
  report,
  acceptance,
  comparison,
}: AcceptanceResult): Partial<Record<(typeof acceptanceFiles)[number], string>> {
  const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
  return {
    ...(report === null ? {} : { 'validation_report.json': json(report) }),
    'acceptance.json': json(acceptance),
    ...(comparison === null
      ? {}
      : { 'compare_outputs.json': json(comparison), 'compare_outputs.txt': sideBySide(comparison) }),
  };
}

/** Each what was found, or why it was not; `score` is null where there is no task. */
interface Measured {
  readonly comparison: OutputComparison | string;
  readonly score: TaskScore | string | null;
  readonly speed: Awaited<ReturnType<typeof measureSixteenBitSpeed>>;
}

const unmeasured = (why: string): Measured => ({ comparison: why, score: why, speed: why });

async function measure(judged: JudgedModel, build: HostProgram, context: StageContext): Promise<Measured> {
  const { manifest, tokens } = judged;
  const { outputs, score } = await new BehaviourJudge(judged).judge(build, context);
  const speed = await measureSixteenBitSpeed(judged, build, context);
  const { model, plan, build: identity } = manifest;
  const names = { model: model.name, plan: plan.name, build: { id: identity.id } };
  return { comparison: { schemaVersion: 1, ...names, tokens, outputs }, score, speed };
}
