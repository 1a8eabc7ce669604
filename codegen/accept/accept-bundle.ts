/** Acceptance of a bundle: its loss, and what it promises against the same model in float and with 16-bit weights. */
import { isDeepStrictEqual } from 'node:util';
import { readHostCpu, whyNotNative } from '../../deploy/host-cpu.js';
import { writeReportFiles } from '../bundle/report-files.js';
import { FloatEvaluator } from '../calibrate/float-evaluator.js';
import { createLinearAlgebra } from '../calibrate/linear-algebra.js';
import { EmbedError } from '../diagnostics/error.js';
import { type EvaluateOptions, type EvaluationSession, evaluateWith } from '../evaluate/evaluate-bundle.js';
import { type HostBuild, withHostBuild } from '../evaluate/host-build.js';
import type { ValidationReport } from '../evaluate/validation-report.js';
import { foldGains } from '../lower/fold-gains.js';
import { type IntegerModel, lower } from '../lower/lower.js';
import type { StageContext } from '../progress.js';
import { namedPlans } from '../quantize/plan.js';
import { quantizeGraph } from '../quantize/quantize.js';
import { type Acceptance, verdictOf } from './acceptance.js';
import type { acceptanceFiles } from './acceptance-files.js';
import { readPrompts, takePrompts } from './acceptance-prompts.js';
import { continueGreedily, firstChoices } from './float-continuation.js';
import { lossGate, meanBits, repetitionGate, sizeGate, speedGate, taskGate } from './gates.js';
import {
  type ComparedOutput,
  compareOutput,
  type OutputComparison,
  sideBySide,
} from './output-comparison.js';
import { measurePairs, type PairedSpeed } from './paired-speed.js';
import { runHostBuild } from './run-host-build.js';
import { readTask } from './task-benchmark.js';
import { scoreTask, type TaskScore } from './task-score.js';

export interface JudgeOptions {
  /** Path of a file with a prompt a line; null: beginnings of windows of the evaluation text. */
  readonly prompts: string | null;
  /** Path of a task benchmark; null: there is none. */
  readonly task: string | null;
  /** Most tokens of a continuation. */
  readonly tokens: number;
}

export type AcceptOptions = EvaluateOptions & JudgeOptions;

export interface AcceptanceResult {
  readonly report: ValidationReport;
  readonly acceptance: Acceptance;
  readonly comparison: OutputComparison;
}

/**
 * Evaluates a bundle, judges it gate by gate, and writes the records into <bundle>/report. Throws EM2020 for prompts and EM2021 for
 * a task that cannot be used, and what evaluateBundle throws.
 */
export async function acceptBundle(
  bundle: string,
  options: AcceptOptions,
  context: StageContext,
): Promise<AcceptanceResult> {
  const result = await evaluateWith(bundle, options, context, (session) =>
    judgeSession(session, options, context),
  );
  writeAcceptance(bundle, result);
  return result;
}

/** Writes the records of an acceptance into <bundle>/report. Throws EM1301. */
export function writeAcceptance(bundle: string, { report, acceptance, comparison }: AcceptanceResult): void {
  const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
  const files: Readonly<Record<(typeof acceptanceFiles)[number], string>> = {
    'validation_report.json': json(report),
    'acceptance.json': json(acceptance),
    'compare_outputs.json': json(comparison),
    'compare_outputs.txt': sideBySide(comparison),
  };
  writeReportFiles(bundle, files);
}

/**
 * Judges what an evaluation has at hand; for a build that certifies itself, too. `report` of the result is that of the session with
 * the speed in it. Throws what acceptBundle throws.
 */
export async function judgeSession(
  session: EvaluationSession,
  options: JudgeOptions,
  context: StageContext,
): Promise<AcceptanceResult> {
  const { manifest } = session;
  const float = new FloatEvaluator(session.reference.graph, session.reference.weights, createLinearAlgebra());
  const comparison = await compareOutputs(session, float, options, context);
  const score = options.task === null ? null : await solveTask(session, float, options.task, context);
  const bits = meanBits(manifest.tensors);
  const speed = await measureSpeed(session, comparison.outputs[0]!.prompt.ids, context);
  const speedAgainst16Bit = typeof speed === 'string' ? null : speed.ratio.median;
  const report: ValidationReport = { ...session.report, speedAgainst16Bit };
  const gates = [
    lossGate(report),
    speedGate(speed, bits),
    sizeGate(report.sizeAgainst16Bit, bits),
    repetitionGate(comparison),
    ...(score === null ? [] : [taskGate(score)]),
  ];
  const { target, build } = manifest;
  const { model, plan, text } = report;
  const accepted = verdictOf(gates);
  const acceptance = { schemaVersion: 1, model, target, plan, build, text, gates, accepted } as const;
  return { report, acceptance, comparison };
}

async function compareOutputs(
  { manifest, source, reference, windows, build }: EvaluationSession,
  float: FloatEvaluator,
  { prompts: path, tokens }: JudgeOptions,
  { progress, signal }: StageContext,
): Promise<OutputComparison> {
  const { tokenizer, checkpoint } = source;
  const { eosIds } = checkpoint.config;
  const { context } = reference.graph;
  const prompts = path === null ? takePrompts(windows, tokenizer) : readPrompts(path, tokenizer, context);
  const outputs: ComparedOutput[] = [];
  progress.begin('compare outputs', prompts.length, 'prompt');
  for (const prompt of prompts) {
    const most = Math.min(tokens, context - prompt.ids.length);
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
  const { model, plan, build: identity } = manifest;
  return {
    ...{ schemaVersion: 1, model: model.name, plan: plan.name, build: { id: identity.id }, tokens, outputs },
  };
}

/** A continuation up to the first token that ends a text. */
function untilEnd(ids: readonly number[], eosIds: readonly number[]): readonly number[] {
  const end = ids.findIndex((id) => eosIds.includes(id));
  return end < 0 ? ids : ids.slice(0, end + 1);
}

async function solveTask(
  { source, reference, build }: EvaluationSession,
  float: FloatEvaluator,
  path: string,
  { progress, signal }: StageContext,
): Promise<TaskScore> {
  const items = readTask(path, source.tokenizer, reference.graph.context);
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

/** Speed of the bundle's target against 16-bit weights, or why it cannot be measured. Both builds are made here, by one compiler. */
async function measureSpeed(
  session: EvaluationSession,
  promptIds: readonly number[],
  context: StageContext,
): Promise<PairedSpeed | string> {
  const { manifest, source, reference, build } = session;
  const { targetSpec: target, plan } = manifest;
  const obstacle = whyNotNative(target, await readHostCpu());
  if (obstacle !== undefined)
    return `${target.name} does not run on this machine, and emulated speed says nothing`;
  const limit = reference.graph.context;
  try {
    const model = await sixteenBitModel(session, context);
    const compare = (quantized: HostBuild) =>
      withHostBuild(target, source, namedPlans.int16!, model, context, (wide) =>
        measurePairs(quantized, wide, promptIds, limit, context),
      );
    const speed = isDeepStrictEqual(target, build.target)
      ? await compare(build)
      : await withHostBuild(target, source, plan, reference.model, context, compare);
    return speed ?? `a context of ${limit} has no room`;
  } catch (error) {
    if (!(error instanceof EmbedError)) throw error;
    return `with 16-bit weights: ${error.code} ${error.why}`;
  }
}

/** The same model with 16-bit weights, and the activations of the bundle. */
async function sixteenBitModel(
  { manifest, source, reference }: EvaluationSession,
  context: StageContext,
): Promise<IntegerModel> {
  const { graph, weights } = reference;
  const plan = namedPlans.int16!;
  const matrices = await quantizeGraph(graph, source.checkpoint, plan, plan.name, context);
  return lower({
    graph,
    matrices: foldGains(graph, matrices),
    vector: (name) => weights.vector(name),
    ranges: new Map(Object.entries(manifest.quantization.ranges)),
  });
}
