/** The table of contents of embed-model: a checkpoint in, a proved bundle out, a line a stage. */

import { proveBundle } from '../deploy/prove-bundle.js';
import type { Result } from '../deploy/result.js';
import type { Target } from '../targets/target.js';
import { acceptBuild } from './accept/accept-build.js';
import type { Acceptance } from './accept/acceptance.js';
import { readAcceptanceRequest } from './accept/acceptance-request.js';
import { planGates } from './accept/plan-gates.js';
import { certificateFor } from './allocate/certificate-for.js';
import { chosenDivergences, type FoundIntegers, findIntegers } from './allocate/find-integers.js';
import type { PlanGates } from './allocate/plan-gates.js';
import { requireRoom } from './allocate/size-limit.js';
import { checkBareMetalRequest } from './bare-metal/bare-metal-request.js';
import { buildBareMetal } from './bare-metal/build-bare-metal.js';
import type { BuildOptions } from './build-options.js';
import { treeHashes, writeTexts } from './bundle/bundle-files.js';
import { bundleRecords } from './bundle/bundle-records.js';
import { composeManifest, parameterCount } from './bundle/compose-manifest.js';
import type { Manifest } from './bundle/manifest.js';
import { OutputFolder } from './bundle/output-folder.js';
import {
  type Calibration,
  type CalibrationText,
  calibrate,
  sampleCalibrationText,
} from './calibrate/calibrate.js';
import { ownCalibration, readCalibration } from './calibrate/calibration-text.js';
import { measuredWindows } from './calibrate/calibration-windows.js';
import { completeCrystal } from './calibrate/complete-crystal.js';
import type { FloatWeights } from './calibrate/float-evaluator.js';
import { checkpointWeights } from './calibrate/float-weights.js';
import { createLinearAlgebra } from './calibrate/linear-algebra.js';
import { measureTensors } from './calibrate/measure-tensors.js';
import { provideNativeLibrary } from './calibrate/native/provide-native-library.js';
import { type ModelSource, openModelSource } from './checkpoint/model-source.js';
import { compileModel } from './compile/model-library.js';
import { provideToolchain } from './compile/provide-toolchain.js';
import { EmbedError } from './diagnostics/error.js';
import { emitBundle } from './emit/emit-bundle.js';
import { goldenPrompt } from './evaluate/golden-prompt.js';
import { defaultGoldenRuns } from './evaluate/golden-run.js';
import type { ValidationReport } from './evaluate/validation-report.js';
import { buildGraph } from './graph/build.js';
import { contextLength } from './graph/context-length.js';
import type { Graph } from './graph/graph.js';
import { foldGains } from './lower/fold-gains.js';
import { type IntegerModel, lower } from './lower/lower.js';
import { buildModule, checkModuleRequest, prepareModule } from './module/build-module.js';
import type { StageContext } from './progress.js';
import { quantizedHash } from './quantize/matrix.js';
import { turnKeys } from './quantize/rotary/search-pair-turns.js';
import type { TensorStatistics } from './quantize/tensor-statistics.js';
import { describePruning, pruneToText } from './vocabulary/prune-vocabulary.js';

export interface BuildResult {
  /** Path of the bundle. */
  readonly bundle: string;
  readonly manifest: Manifest;
  readonly result: Result;
  /** Null where only the loss was to be judged. */
  readonly acceptance: Acceptance | null;
  readonly warnings: readonly string[];
}

/**
 * Builds a bundle: nothing of it is left behind unless everything succeeded. A bundle whose logits differ from the golden ones
 * stays, and its result says so.
 */
export async function build(options: BuildOptions, context: StageContext): Promise<BuildResult> {
  const completion = await completeCrystal(options, context);
  const opened = openModelSource(options.model, options.tokenizer, completion);
  for (const warning of opened.checkpoint.warnings ?? []) context.progress.warn(warning);
  try {
    const source = pruned(opened, options, context);
    const output = await OutputFolder.open(options.out ?? defaultOut(source, options.target));
    try {
      return await buildInto(output, source, options, context);
    } finally {
      await output.discard();
    }
  } finally {
    opened.checkpoint.close();
  }
}

/** The model with the vocabulary that was asked for. */
export function pruned(
  source: ModelSource,
  { pruneVocab }: BuildOptions,
  { progress }: StageContext,
): ModelSource {
  if (pruneVocab === undefined || pruneVocab === null) return source;
  const result = pruneToText(source, pruneVocab);
  progress.warn(describePruning(source, result));
  return result;
}

async function buildInto(
  output: OutputFolder,
  source: ModelSource,
  options: BuildOptions,
  context: StageContext,
): Promise<BuildResult> {
  const { target } = options;
  const { checkpoint, tokenizer, bosId } = source;
  const { eosIds } = checkpoint.config;
  const { RealFileSystemHost } = await import('@ts-morph/common');
  const host = new RealFileSystemHost();

  const module = checkModuleRequest(options);
  const board = checkBareMetalRequest(options);
  const request = readAcceptanceRequest(options, source);
  const toolchain = await provideToolchain(
    target,
    { prefer: options.toolchain, fetch: options.fetch },
    context,
  );
  const otherGates = request === null ? null : planGates(request);
  const integers = await toIntegers(source, options, true, context, otherGates);
  const { model, plan, parameters } = integers;
  const prompt = goldenPrompt(options.prompt, source, model.graph);
  const golden = await defaultGoldenRuns(model, prompt, eosIds, parameters, context);
  const { singleFile } = options;
  const names = { modelName: source.name, modelSha256: checkpoint.sha256(), target, plan };
  const emitted = await emitBundle(
    output.staging,
    host,
    { ...names, model, tokenizer, bosId, eosIds, singleFile },
    context,
  );
  if (module !== null) prepareModule(output.staging, module, emitted.blob.blobBytes);
  const compiled = await compileModel(output.staging, target, toolchain, context);
  const bareMetal =
    board === null
      ? undefined
      : await buildBareMetal(
          output.staging,
          { board, target, toolchain, emitted, golden, stackBytes: compiled.audit.stack.bytes },
          host,
          context,
        );
  const kernelModule =
    module === null
      ? undefined
      : await buildModule(output.staging, { target, module, emitted, compiled, golden }, host, context);
  const composed = composeManifest({
    ...{
      source: integers.source,
      target,
      integers,
      golden,
      emitted,
      compiled,
      toolchain,
      singleFile,
      kernelModule,
      bareMetal,
    },
    files: treeHashes(output.staging),
  });
  const built = { manifest: composed, folder: output.staging, integers, toolchain };
  const judged = await acceptBuild(built, request, options, context);
  const acceptance = judged?.acceptance ?? null;
  const manifest = acceptance === null ? composed : withVerdict(composed, acceptance);
  const result = await proveBundle(output.staging, manifest, options, context);
  writeTexts(host, output.staging, bundleRecords(manifest, result, integers, judged));
  await output.commit();
  return { bundle: output.path, manifest, result, acceptance, warnings: result.warnings };
}

function withVerdict(manifest: Manifest, { accepted }: Acceptance): Manifest {
  return { ...manifest, quantization: { ...manifest.quantization, accepted } };
}

/** Where the bundle goes if the user does not say. */
export const defaultOut = (source: ModelSource, target: Target) => `${source.name}-${target.name}`;

/** What `toIntegers` makes of a checkpoint. */
export interface Integers extends Pick<FoundIntegers, 'plan' | 'method' | 'comparison' | 'auto'> {
  readonly model: IntegerModel;
  /** The model that these are the integers of: the one that was given, or with turns and scales folded into it. */
  readonly source: ModelSource;
  readonly calibration: Calibration;
  readonly statistics: readonly TensorStatistics[];
  readonly quantizedSha256: string;
  readonly parameters: number;
  /** What the ranges are from, and what weights are fitted to. */
  readonly text: CalibrationText;
  /** What certifies the loss; null where nothing does. */
  readonly certification: ValidationReport | null;
}

/**
 * Checkpoint to integer model: graph, calibrate, quantize, lower, certify. `measure`: programs may be compiled and run for it.
 * `otherGates`: of an acceptance, for `--quantize auto`.
 */
export async function toIntegers(
  source: ModelSource,
  options: BuildOptions,
  measure: boolean,
  context: StageContext,
  otherGates: PlanGates | null = null,
): Promise<Integers> {
  const { checkpoint } = source;
  const positions = contextLength(checkpoint.config, options.context, context.progress);
  const graph = buildGraph(checkpoint, positions, options.plan.rotate);
  const maxBytes = options.auto?.maxBytes ?? null;
  if (maxBytes !== null) requireRoom(graph, options.target, maxBytes); // before minutes of calibration
  if (measure) await provideNativeLibrary(parameterCount(graph), context);
  const weights = checkpointWeights(checkpoint, graph);
  const text = await calibrationTextFor(graph, source, weights, options, context);
  const turned = await turnKeys(source, graph, weights, text, createLinearAlgebra(), context);
  const recalibrate = (other: FloatWeights) =>
    calibrate(graph, other, createLinearAlgebra(), text, context, options.staticActivations);
  const calibration = await recalibrate(turned.weights);
  const given = { ...turned, graph, calibration, text, recalibrate, otherGates };
  const found = await findIntegers(given, options, measure, context);
  const { matrices, model: scaled } = found;
  const windows = measuredWindows(text.ids, graph.context);
  const divergences = chosenDivergences(found);
  const tensors = { graph, weights: scaled.weights, matrices, windows, divergences };
  const statistics = await measureTensors(tensors, context);
  const model = lower({
    graph,
    matrices: foldGains(graph, matrices),
    vector: (name) => scaled.weights.vector(name),
    ranges: scaled.calibration.ranges,
  });
  const quantizedSha256 = quantizedHash(model.matrices.values());
  const certification = measure
    ? await certificateFor(found, scaled.source, model, quantizedSha256, options, context)
    : null;
  const { plan, method, comparison, auto } = found;
  const parameters = parameterCount(graph);
  const choices = { plan, method, comparison, auto, certification };
  return {
    ...{ model, source: scaled.source, calibration: scaled.calibration },
    ...{ ...choices, text, statistics, quantizedSha256, parameters },
  };
}

/** The user's text, the model's own, or text sampled from the model, in that order. */
async function calibrationTextFor(
  graph: Graph,
  source: ModelSource,
  weights: FloatWeights,
  options: BuildOptions,
  context: StageContext,
): Promise<CalibrationText> {
  const own = () => ownCalibration(source.path, graph.vocabSize);
  // Ids that lie beside a checkpoint are those of its whole vocabulary.
  const file = options.calibration ?? options.pruneVocab ?? null;
  if (source.vocabulary !== undefined && file?.endsWith('.u16')) {
    const why = 'holds ids of the whole vocabulary, and this one is pruned';
    throw new EmbedError('EM1140', { where: file, why });
  }
  if (file !== null) return readCalibration(file, source.tokenizer, graph.vocabSize);
  const { bosId } = source.checkpoint.config;
  return own() ?? sampleCalibrationText(graph, weights, createLinearAlgebra(), bosId, context);
}
