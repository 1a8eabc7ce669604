/** Judges a quantized model gate by gate: its loss, and what it promises against the same model in float and with 16-bit weights. */
import type { Manifest } from '../bundle/manifest.js';
import { FloatEvaluator } from '../calibrate/float-evaluator.js';
import { createLinearAlgebra } from '../calibrate/linear-algebra.js';
import type { ModelSource } from '../checkpoint/model-source.js';
import type { HostBuild } from '../evaluate/host-build.js';
import type { ReferenceModel } from '../evaluate/reference-model.js';
import type { ValidationReport } from '../evaluate/validation-report.js';
import type { StageContext } from '../progress.js';
import { type Acceptance, verdictOf } from './acceptance.js';
import type { acceptanceFiles } from './acceptance-files.js';
import type { Prompt, PromptSet } from './acceptance-prompts.js';
import { continueGreedily, firstChoices } from './float-continuation.js';
import { gateAdvice } from './gate-advice.js';
import { lossGate, meanBits, repetitionGate, sizeGate, speedGate, taskGate } from './gates.js';
import {
  type ComparedOutput,
  compareOutput,
  type OutputComparison,
  sideBySide,
} from './output-comparison.js';
import { runHostBuild } from './run-host-build.js';
import { measureSixteenBitSpeed } from './sixteen-bit-speed.js';
import type { TaskItem } from './task-benchmark.js';
import { scoreTask, type TaskScore } from './task-score.js';

/** Programs of the model's integers that this machine runs. */
export type HostProgram = Pick<HostBuild, 'target' | 'toolchain' | 'binary' | 'blob'>;

export interface JudgedModel extends PromptSet {
  readonly manifest: Manifest;
  readonly source: ModelSource;
  readonly reference: Pick<ReferenceModel, 'graph' | 'weights' | 'model'>;
  /** null: there is no task benchmark. */
  readonly task: readonly TaskItem[] | null;
  /** Most tokens of a continuation. */
  readonly tokens: number;
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
  const { graph, weights } = judged.reference;
  const float = new FloatEvaluator(graph, weights, createLinearAlgebra());
  const comparison = await compareOutputs(judged, build, float, context);
  const score = judged.task === null ? null : await solveTask(judged.task, build, float, context);
  const speed = await measureSixteenBitSpeed(judged, build, context);
  return { comparison, score, speed };
}

/** One set of prompts in twenty fails a model that repeats itself no more: then the further ones have their say, too. */
async function compareOutputs(
  judged: JudgedModel,
  build: HostProgram,
  float: FloatEvaluator,
  context: StageContext,
): Promise<OutputComparison> {
  const { manifest, prompts, further, tokens } = judged;
  const compare = (some: readonly Prompt[]) => continueAll(some, judged, build, float, context);
  const first = await compare(prompts);
  const isDoubtful = further.length > 0 && repetitionGate({ outputs: first }).passed === false;
  const outputs = isDoubtful ? [...first, ...(await compare(further))] : first;
  const { model, plan, build: identity } = manifest;
  return {
    ...{ schemaVersion: 1, model: model.name, plan: plan.name, build: { id: identity.id }, tokens, outputs },
  };
}

async function continueAll(
  prompts: readonly Prompt[],
  { source, reference, tokens }: JudgedModel,
  build: HostProgram,
  float: FloatEvaluator,
  { progress, signal }: StageContext,
): Promise<ComparedOutput[]> {
  const { tokenizer, checkpoint } = source;
  const { eosIds } = checkpoint.config;
  const outputs: ComparedOutput[] = [];
  progress.begin('compare outputs', prompts.length, 'prompt');
  for (const prompt of prompts) {
    const most = Math.min(tokens, reference.graph.context - prompt.ids.length);
    const inFloat = await continueGreedily(float, prompt.ids, most, eosIds, signal);
    const run = await runHostBuild(build, prompt.ids, most, signal);
    const quantized = untilEnd(
      run.tokens.map(({ id }) => id),
      eosIds,
    );
    outputs.push(compareOutput(prompt, inFloat, quantized, tokenizer));
    progress.advance(1);
  }
  progress.end(`${prompts.length} prompts`);
  return outputs;
}

/** A continuation up to the first token that ends a text. */
function untilEnd(ids: readonly number[], eosIds: readonly number[]): readonly number[] {
  const end = ids.findIndex((id) => eosIds.includes(id));
  return end < 0 ? ids : ids.slice(0, end + 1);
}

async function solveTask(
  items: readonly TaskItem[],
  build: HostProgram,
  float: FloatEvaluator,
  { progress, signal }: StageContext,
): Promise<TaskScore> {
  const solved: { float: boolean; quantized: boolean }[] = [];
  progress.begin('task benchmark', items.length, 'item');
  for (const { prompt, completion } of items) {
    const expected = completion.join();
    // Greedy decoding gives the completion exactly when every token of it is the first choice behind those before.
    float.reset();
    const known = [...prompt, ...completion.slice(0, -1)];
    const choices = await firstChoices(float, known, prompt.length - 1, signal);
    const run = await runHostBuild(build, prompt, completion.length, signal);
    const generated = run.tokens.map(({ id }) => id).join();
    solved.push({ float: choices.join() === expected, quantized: generated === expected });
    progress.advance(1);
  }
  const score = scoreTask(solved);
  progress.end(
    `${(100 * score.quantized).toFixed(1)} % solved, ${(100 * score.float).toFixed(1)} % in float`,
  );
  return score;
}
