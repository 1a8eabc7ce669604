/** Spreads the windows of a text over worker threads and puts their scores together. */
import { Worker } from 'node:worker_threads';
import { nativeLibrary } from '../calibrate/native/native-library.js';
import { EmbedError } from '../diagnostics/error.js';
import type { StageContext } from '../progress.js';
import type { EvaluationScores, EvaluationTask, WorkerMessage } from './evaluate-worker.js';

/** What all tasks have in common; `ids` are those of all windows. */
export type EvaluationJob = Omit<EvaluationTask, 'firstWindow' | 'weightBytes' | 'silenceTimeoutMs'> &
  Partial<Pick<EvaluationTask, 'silenceTimeoutMs'>>;

/** em-run writes logits after every position, and a position takes seconds even for the largest models. */
const SILENCE_TIMEOUT_MS = 120_000;

/** A thread ends at once, unless it has an em-run to stop, which may take two seconds. */
const EXIT_TIMEOUT_MS = 10_000;

/** Float weights that stay in memory, all threads together, counted once in JavaScript and once in WebAssembly. */
const WEIGHT_BYTES = 500e6;

/**
 * Evaluates all windows of the job on `threads` threads, each with an em-run of its own. The result does not depend on how many
 * there are. When one fails or the user interrupts, the others stop before this throws; no em-run is left.
 */
export async function evaluateWindows(
  job: EvaluationJob,
  threads: number,
  { progress, signal }: StageContext,
): Promise<EvaluationScores[]> {
  const count = Math.min(threads, job.ids.length / job.window);
  const models = count * (job.matrices === null ? 1 : 2);
  const weightBytes = Math.min(256e6, Math.floor(WEIGHT_BYTES / models));
  const running = shares(job, count).map(
    (share) =>
      new EvaluationThread(
        {
          silenceTimeoutMs: SILENCE_TIMEOUT_MS,
          ...job,
          ...share,
          weightBytes,
          nativeLibrary: nativeLibrary()?.path,
        },
        () => progress.advance(1),
      ),
  );
  const stopAll = () => {
    for (const thread of running) thread.stop();
  };
  signal.addEventListener('abort', stopAll, { once: true });
  if (signal.aborted) stopAll();
  let failure: unknown;
  const stopOthers = (error: unknown) => {
    failure ??= error; // what the others say then is only that they were stopped
    stopAll();
    return undefined;
  };
  try {
    const scores = await Promise.all(running.map((thread) => thread.scores.catch(stopOthers)));
    await Promise.all(running.map((thread) => thread.end()));
    signal.throwIfAborted();
    if (failure !== undefined) throw failure;
    return scores.filter((one) => one !== undefined);
  } finally {
    signal.removeEventListener('abort', stopAll);
  }
}

/** The windows of a text in `count` parts as large as each other, give or take one. */
export function shares(
  { ids, window }: Pick<EvaluationJob, 'ids' | 'window'>,
  count: number,
): Pick<EvaluationTask, 'ids' | 'firstWindow'>[] {
  const windows = ids.length / window;
  return Array.from({ length: count }, (_, i) => {
    const firstWindow = Math.floor((i * windows) / count);
    const end = Math.floor(((i + 1) * windows) / count);
    return { ids: ids.slice(firstWindow * window, end * window), firstWindow };
  });
}

class EvaluationThread {
  readonly scores: Promise<EvaluationScores>;
  readonly #exited: Promise<void>;
  readonly #worker: Worker;

  constructor(task: EvaluationTask, onWindow: () => void) {
    const worker = new Worker(new URL('./evaluate-worker.js', import.meta.url), { workerData: task });
    this.#worker = worker;
    this.#exited = new Promise((resolve) => worker.once('exit', () => resolve()));
    this.scores = new Promise((resolve, reject) => {
      worker.on('message', (message: WorkerMessage) => {
        if (message.kind === 'window') onWindow();
        else if (message.kind === 'done') resolve(message.scores);
        else reject(new EmbedError(message.code, { where: message.where, why: message.why }));
      });
      worker.once('error', reject);
      worker.once('exit', () => reject(new Error('a thread of the evaluation ended without a result')));
    });
  }

  stop(): void {
    this.#worker.postMessage('stop');
  }

  /** Waits until the thread, which has nothing more to do, is gone; one that stays is ended. */
  async end(): Promise<void> {
    const timer = setTimeout(() => void this.#worker.terminate(), EXIT_TIMEOUT_MS);
    await this.#exited;
    clearTimeout(timer);
  }
}
