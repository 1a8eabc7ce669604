/** build --acceptance: what was just built, judged gate by gate before it becomes a bundle. */
import { join } from 'node:path';
import { readHostCpu, whyNotNative } from '../../deploy/host-cpu.js';
import type { Target } from '../../targets/target.js';
import { certificationHalf } from '../allocate/auto-texts.js';
import { sizeAgainst16Bit, whyNotMeasurable } from '../allocate/certify.js';
import { readValidationFor } from '../allocate/find-integers.js';
import { type BuildOptions, CONTINUATION_TOKENS, MAX_LOSS } from '../build-options.js';
import type { Manifest } from '../bundle/manifest.js';
import { checkpointWeights } from '../calibrate/float-weights.js';
import type { Toolchain } from '../compile/toolchain.js';
import type { EvaluationWindows } from '../evaluate/evaluation-text.js';
import { withHostBuild } from '../evaluate/host-build.js';
import { hostTarget } from '../evaluate/host-target.js';
import type { Integers } from '../pipeline.js';
import type { StageContext } from '../progress.js';
import { type PromptSet, takePrompts } from './acceptance-prompts.js';
import type { AcceptanceRequest } from './acceptance-request.js';
import type { HostProgram } from './behaviour.js';
import { type AcceptanceResult, judgeModel } from './judge-model.js';

export interface BuiltModel {
  /** Of what lies in `folder`. */
  readonly manifest: Manifest;
  /** With bin/em-run, and model.blob unless the program holds the weights. */
  readonly folder: string;
  readonly integers: Integers;
  readonly toolchain: Toolchain;
}

/** Null where nothing was requested. Prompts that were not given are beginnings of windows of the text that certifies, else of the calibration text. */
export async function acceptBuild(
  built: BuiltModel,
  request: AcceptanceRequest | null,
  options: BuildOptions,
  context: StageContext,
): Promise<AcceptanceResult | null> {
  if (request === null) return null;
  const { manifest, integers } = built;
  const { source, model, certification } = integers;
  const { graph } = model;
  const size = sizeAgainst16Bit(model, options.target);
  const report =
    certification === null
      ? ((await whyNotMeasurable()) ?? 'there is no --validation text')
      : { ...certification, sizeAgainst16Bit: size };
  const result = await withProgram(built, options, context, (build) => {
    const judged = {
      ...{ manifest, source, build, report, task: request.task, tokens: CONTINUATION_TOKENS },
      ...{ sizeAgainst16Bit: size, threshold: options.maxLoss ?? MAX_LOSS },
      ...(typeof build === 'string' ? noPrompts : promptsFor(request, integers, options)),
      reference: { graph, weights: checkpointWeights(source.checkpoint, graph), model },
    };
    return judgeModel(judged, context);
  });
  for (const line of result.acceptance.advice) context.progress.warn(line);
  return result;
}

/** How the programs come about that an acceptance runs. */
export type ProgramChoice = 'of the bundle' | 'for the target' | 'for this machine';

/** A program of another machine, or with weights in it, does not answer here: then one is built that does. */
export async function chooseProgram(target: Target, singleFile: boolean): Promise<ProgramChoice> {
  if (whyNotNative(target, await readHostCpu()) !== undefined) return 'for this machine';
  return singleFile ? 'for the target' : 'of the bundle';
}

async function withProgram<T>(
  { folder, integers, toolchain }: BuiltModel,
  { target, singleFile }: BuildOptions,
  context: StageContext,
  use: (build: HostProgram | string) => Promise<T>,
): Promise<T> {
  const choice = await chooseProgram(target, singleFile);
  if (choice === 'of the bundle') {
    const binary = join(folder, 'bin', 'em-run');
    return use({ target, toolchain, binary, blob: join(folder, 'model.blob') });
  }
  const obstacle = choice === 'for this machine' ? await whyNotMeasurable() : null;
  if (obstacle !== null) return use(obstacle);
  const machine = choice === 'for the target' ? { target, toolchain } : { target: await hostTarget() };
  const { source, plan, model } = integers;
  return withHostBuild(machine, source, plan, model, context, use);
}

const noPrompts: PromptSet = { prompts: [], further: [] };

function promptsFor({ prompts }: AcceptanceRequest, integers: Integers, options: BuildOptions): PromptSet {
  if (prompts !== null) return { prompts, further: [] };
  return takePrompts(promptWindows(integers, options), integers.source.tokenizer);
}

/** Of a calibration text: ids of a window at most, and windows that there are at least, if it has two ids for each. */
const WINDOW = 256;
const LEAST_WINDOWS = 32;

function promptWindows({ source, model, text }: Integers, options: BuildOptions): EvaluationWindows {
  const { graph } = model;
  const validation = readValidationFor(source, graph, options);
  if (validation !== null) return certificationHalf(graph, validation).windows;
  const ids = Int32Array.from(text.ids);
  const window = Math.min(
    WINDOW,
    graph.context,
    Math.max(2, Math.floor(ids.length / LEAST_WINDOWS)),
    ids.length,
  );
  const left = ids.length % window;
  return { ids: ids.subarray(0, ids.length - left), window, left };
}
