/**
 * The thread that evaluates some windows of a text, started by evaluate-windows.ts: its own em-run computes the integer logits,
 * which it compares with its own float evaluators. Any message to it means: stop.
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { runLocally } from '../../deploy/local.js';
import type { Target } from '../../targets/target.js';
import { FloatEvaluator, type FloatWeights } from '../calibrate/float-evaluator.js';
import { checkpointWeights, dequantizedWeights } from '../calibrate/float-weights.js';
import { createLinearAlgebra } from '../calibrate/linear-algebra.js';
import { adoptNativeLibrary } from '../calibrate/native/native-library.js';
import type { CrystalCompletion } from '../checkpoint/crystal-completion.js';
import { openCheckpoint } from '../checkpoint/open.js';
import type { DiagnosticCode } from '../diagnostics/catalog.js';
import { EmbedError } from '../diagnostics/error.js';
import { buildGraph } from '../graph/build.js';
import { FoldedCheckpoint } from '../quantize/folds/folded-checkpoint.js';
import type { Folds } from '../quantize/folds/folds.js';
import type { QuantizedMatrix } from '../quantize/matrix.js';
import { PrunedCheckpoint } from '../vocabulary/pruned-checkpoint.js';
import { LikelihoodScorer, type WindowLikelihood } from './likelihood-scorer.js';
import { LogitsStream } from './logits-stream.js';
import type { ValidationData } from './statistics.js';
import { windowArguments } from './window-arguments.js';
import { type ScoredWindows, WindowScorer } from './window-scorer.js';

export interface EvaluationTask extends ScoredWindows {
  readonly target: Target;
  /** Paths of em-run, its blob, and all ids of the text as em-run --ids-file takes them. */
  readonly binary: string;
  readonly blob: string;
  readonly idsFile: string;
  /** Path of the checkpoint, and the context its graph is built for. */
  readonly checkpoint: string;
  /** Where the bundle's vocabulary is pruned: the checkpoint's ids of its tokens. */
  readonly kept: Int32Array | null;
  /** What a .crystal file lacks, as the bundle was built with it. */
  readonly completion: CrystalCompletion | null;
  /** What was folded into the weights before they were quantized. */
  readonly folds: Folds;
  readonly context: number;
  readonly vocabSize: number;
  /** Milliseconds that em-run may be silent, when the thread waits for it. */
  readonly silenceTimeoutMs: number;
  /** Most bytes of float weights that stay in memory, for each float model. */
  readonly weightBytes: number;
  /** Whether inputs of down projections are turned, as the plan of the bundle says. */
  readonly rotate: boolean;
  /** Quantized matrices to compare with as well, as real numbers; null: only the checkpoint is compared with. */
  readonly matrices: ReadonlyMap<string, QuantizedMatrix> | null;
  /** Whether no float model is to run beside em-run: only likelihoods are scored then. Absent: one is. */
  readonly likelihoodOnly?: boolean;
  /** Path of the native library, absent where there is none. */
  readonly nativeLibrary?: string | undefined;
}

export interface EvaluationScores {
  /** Against the checkpoint in float; empty where only likelihoods are scored. */
  readonly reference: ValidationData;
  /** Against the quantized weights in float; empty where that was not asked for. */
  readonly integerCost: ValidationData;
  /** Of em-run; empty unless they are all that is scored. */
  readonly likelihoods: readonly WindowLikelihood[];
}

export type WorkerMessage =
  | { readonly kind: 'window' }
  | { readonly kind: 'done'; readonly scores: EvaluationScores }
  | { readonly kind: 'failed'; readonly code: DiagnosticCode; readonly where: string; readonly why: string };

/** The runner's own limit; a window takes seconds even for the largest models. */
const windowTimeoutMs = 600_000;
/** setTimeout takes no longer time. */
const longestTimeoutMs = 2 ** 31 - 1;

/** Runs em-run over the windows and returns what they scored. Throws EM3204 where em-run fails. */
async function score(
  task: EvaluationTask,
  port: MessagePort,
  stop: AbortController,
): Promise<EvaluationScores> {
  if (task.likelihoodOnly === true) return scoreLikelihoods(task, port, stop);
  if (task.nativeLibrary !== undefined) adoptNativeLibrary(task.nativeLibrary, 1);
  const opened = openCheckpoint(task.checkpoint, task.completion);
  const checkpoint = task.kept === null ? opened : new PrunedCheckpoint(opened, task.kept);
  try {
    const graph = buildGraph(checkpoint, task.context, task.rotate);
    const scorerFor = (weights: FloatWeights) => {
      const algebra = createLinearAlgebra({ memoryBytes: task.weightBytes });
      return new WindowScorer(task, new FloatEvaluator(graph, weights, algebra));
    };
    const reference = scorerFor(checkpointWeights(checkpoint, graph, task.weightBytes));
    const integerCost =
      task.matrices === null
        ? null
        : scorerFor(
            dequantizedWeights(
              new FoldedCheckpoint(checkpoint, graph, task.folds),
              graph,
              task.matrices,
              task.weightBytes,
            ),
          );
    let positions = 0;
    await runWindows(task, task.vocabSize, stop, (logits) => {
      reference.add(positions, logits);
      integerCost?.add(positions, logits);
      positions++;
      if (positions % task.window === 0) port.postMessage({ kind: 'window' } satisfies WorkerMessage);
    });
    refuseMissing(task, positions);
    return { reference: reference.data(), integerCost: integerCost?.data() ?? [], likelihoods: [] };
  } finally {
    checkpoint.close();
  }
}

async function scoreLikelihoods(
  task: EvaluationTask,
  port: MessagePort,
  stop: AbortController,
): Promise<EvaluationScores> {
  const scorer = new LikelihoodScorer(task);
  let positions = 0;
  await runWindows(task, task.vocabSize, stop, (logits) => {
    scorer.add(positions++, logits);
    if (positions % task.window === 0) port.postMessage({ kind: 'window' } satisfies WorkerMessage);
  });
  refuseMissing(task, positions);
  return { reference: [], integerCost: [], likelihoods: scorer.data() };
}

function refuseMissing({ ids, binary }: EvaluationTask, positions: number): void {
  if (positions === ids.length) return;
  const why = `it gave logits of ${positions} positions instead of ${ids.length}`;
  throw new EmbedError('EM3204', { where: binary, why });
}

/** Starts em-run and hands on its logits. The pipe between them holds em-run back while they are compared. */
async function runWindows(
  task: EvaluationTask,
  vocabSize: number,
  stop: AbortController,
  onPosition: (logits: Int32Array) => void,
): Promise<void> {
  const windows = task.ids.length / task.window;
  const args = windowArguments(task);
  let failure: unknown;
  const stream = new LogitsStream(vocabSize, onPosition);
  const silence = setTimeout(() => {
    const why = `it wrote nothing for ${task.silenceTimeoutMs / 1000} s`;
    failure ??= new EmbedError('EM3203', { where: task.binary, why });
    stop.abort();
  }, task.silenceTimeoutMs);
  const run = await runLocally(task.target, task.binary, args, {
    mode: 'host',
    timeoutMs: Math.min(longestTimeoutMs, windows * windowTimeoutMs),
    signal: stop.signal,
    onStdoutChunk: (chunk) => {
      if (failure !== undefined) return;
      try {
        stream.push(chunk);
      } catch (error) {
        failure = error;
        stop.abort();
      }
      silence.refresh();
    },
  }).finally(() => clearTimeout(silence));
  if (failure !== undefined) throw failure;
  stop.signal.throwIfAborted();
  if (run.exitCode !== 0) {
    const end = run.exitCode === undefined ? `ended by ${run.endedBySignal}` : `exit code ${run.exitCode}`;
    const said = run.stderr.trim();
    throw new EmbedError('EM3204', { where: task.binary, why: said === '' ? end : `${said} (${end})` });
  }
}

async function main(port: MessagePort, task: EvaluationTask): Promise<void> {
  const stop = new AbortController();
  port.once('message', () => stop.abort());
  let message: WorkerMessage;
  try {
    message = { kind: 'done', scores: await score(task, port, stop) };
  } catch (error) {
    if (!(error instanceof EmbedError)) throw error; // the other side gets it as an event
    message = { kind: 'failed', code: error.code, where: error.where, why: error.why };
  }
  port.postMessage(message);
  port.unref(); // nothing keeps the thread any more
}

if (parentPort !== null) await main(parentPort, workerData as EvaluationTask);
