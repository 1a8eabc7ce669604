/** Runs a bundle, here or on a board, and makes its result record. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { RunOptions } from '../codegen/build-options.js';
import {
  type GoldenRun,
  type Manifest,
  readManifest,
  type SamplingSettings,
} from '../codegen/bundle/manifest.js';
import { EmbedError } from '../codegen/diagnostics/error.js';
import type { StageContext } from '../codegen/progress.js';
import { findLauncher, type LocalMode } from './local.js';
import { machineAt } from './local-machine.js';
import type { MachineDescription, Place } from './machine.js';
import { RecordParser } from './records.js';
import { composeResult, type Result } from './result.js';
import { RunCollector, type RunOutcome } from './run-outcome.js';

/** Longest that a run may take: an hour, enough for an emulated board and a long text. */
const RUN_LIMIT_MS = 3_600_000;

/** Q16 as the decimal that the runner reads back to the same number. */
const decimalOf = (q16: number) => (q16 / 65536).toFixed(10);

export interface RunnerRequest {
  readonly prompt: string | null;
  readonly ids: readonly number[] | null;
  readonly tokens: number;
  readonly sampling: SamplingSettings;
  readonly threads: number;
  readonly chunk: number | null;
  /** File for the output of every op (templates/runner/trace.h). */
  readonly trace?: string;
  /** Whether the logits of all positions are computed, for their digest; absent: yes. The prompt takes longer with it. */
  readonly digest?: boolean;
  /** Whether to go on after a token that ends the text; absent: no. */
  readonly ignoreEnd?: boolean;
  /** Whether to go on beyond the context, in a window that slides; absent: no. */
  readonly slide?: boolean;
}

/** Arguments of em-run for a request, behind the blob; where the trace goes is for the machine to say. */
export function runnerArguments(request: RunnerRequest): string[] {
  const { prompt, ids, tokens, sampling, threads, chunk } = request;
  const args = ['--records', `--tokens=${tokens}`, `--threads=${threads}`];
  if (ids !== null) args.push(`--ids=${ids.join(',')}`);
  else if (prompt !== null) args.push(`--prompt=${prompt}`);
  if (chunk !== null) args.push(`--chunk=${chunk}`);
  if (request.digest === false) args.push('--no-digest');
  if (request.ignoreEnd) args.push('--ignore-end');
  if (request.slide) args.push('--slide');
  if (sampling.temperatureQ16 > 0) {
    args.push(`--temperature=${decimalOf(sampling.temperatureQ16)}`, `--seed=${sampling.seed}`);
    if (sampling.topK > 0) args.push(`--top-k=${sampling.topK}`);
    if (sampling.topPQ16 < 65536) args.push(`--top-p=${decimalOf(sampling.topPQ16)}`);
  }
  return args;
}

export interface RunnerRun {
  readonly outcome: RunOutcome;
  readonly machine: MachineDescription;
}

/** Runs em-run of a bundle and collects its records. Throws EM3204 when it fails, EM3205 when it is of another build. */
export async function runRunner(
  bundle: string,
  manifest: Manifest,
  request: RunnerRequest,
  place: Place,
  signal: AbortSignal,
  onText?: (text: string) => void,
): Promise<RunnerRun> {
  const parser = new RecordParser();
  const collector = new RunCollector();
  const take = (events: Iterable<Parameters<RunCollector['add']>[0]>) => {
    for (const event of events) {
      collector.add(event);
      if (event.type !== 'record') continue;
      const { record } = event;
      if ((record.kind === 'token' || record.kind === 'done') && record.text !== '') onText?.(record.text);
    }
  };
  const machine = machineAt(place);
  const run = await machine.run(bundle, manifest, runnerArguments(request), {
    timeoutMs: RUN_LIMIT_MS,
    signal,
    onStdout: (chunk) => take(parser.push(chunk)),
    trace: request.trace ?? null,
  });
  take(parser.end());
  signal.throwIfAborted();
  const outcome = collector.outcome();
  refuseFailure(manifest, join(bundle, 'bin', 'em-run'), outcome, run);
  return { outcome, machine: await machine.describe(manifest) };
}

function refuseFailure(
  manifest: Manifest,
  binary: string,
  outcome: RunOutcome,
  run: { exitCode: number | undefined; endedBySignal: string | undefined; stderr: string },
): void {
  if (outcome.ready !== null && outcome.ready.build !== manifest.build.id) {
    const why = `it is of build ${outcome.ready.build}, the manifest of ${manifest.build.id}`;
    throw new EmbedError('EM3205', { where: binary, why });
  }
  if (outcome.complete) return;
  const end = run.endedBySignal === undefined ? `exit code ${run.exitCode}` : `ended by ${run.endedBySignal}`;
  const said = outcome.error?.message ?? run.stderr.trim().split('\n').slice(-3).join(' / ');
  const code = run.exitCode === 2 ? 'EM3206' : 'EM3204';
  throw new EmbedError(code, { where: binary, why: said === '' ? end : `${said} (${end})` });
}

/** Whether a run gave what the integer reference gives. */
export function equalsGolden(outcome: RunOutcome, golden: GoldenRun): boolean {
  return (
    outcome.digest?.value === golden.logitsDigest &&
    outcome.tokens.map((t) => t.id).join() === golden.tokenIds.join() &&
    outcome.promptIds.join() === golden.promptIds.join()
  );
}

const sameSampling = (a: SamplingSettings, b: SamplingSettings) =>
  a.temperatureQ16 === 0
    ? b.temperatureQ16 === 0
    : a.temperatureQ16 === b.temperatureQ16 &&
      a.topK === b.topK &&
      a.topPQ16 === b.topPQ16 &&
      a.seed === b.seed;

/** Reads the manifest of a bundle, runs it once and returns the record. */
export async function runBundle(bundle: string, options: RunOptions, context: StageContext): Promise<Result> {
  const manifest = readManifest(bundle);
  const warnings: string[] = [];
  const run = await runRunner(bundle, manifest, options, options.mode, context.signal, options.onText);
  const { outcome } = run;
  const golden = manifest.golden.find(
    (g) =>
      g.promptIds.join() === outcome.promptIds.join() &&
      sameSampling(g.sampling, options.sampling) &&
      g.tokenIds.length === outcome.tokens.length,
  );
  const matchesGolden = golden === undefined ? null : equalsGolden(outcome, golden);
  return resultOf(bundle, manifest, run, options.prompt, matchesGolden, warnings);
}

/** The record of a run that was made. */
export async function resultOf(
  bundle: string,
  manifest: Manifest,
  run: RunnerRun,
  prompt: string | null,
  matchesGolden: boolean | null,
  warnings: readonly string[],
): Promise<Result> {
  const { machine } = run;
  // Under user-mode emulation the resident set and the processor are the emulator's, not the board's.
  const { memory } = run.outcome;
  const outcome =
    machine.transport === 'emulator' && memory !== null
      ? { ...run.outcome, memory: { ...memory, peakRss: null } }
      : run.outcome;
  return composeResult(
    manifest,
    {
      outcome,
      prompt,
      machine,
      matchesGolden,
      binaryBytes: statSync(join(bundle, 'bin', 'em-run')).size,
    },
    warnings,
  );
}

/** Whether programs of a target can be run here, and if not, why and what to install. */
export async function whyNotRunnable(manifest: Manifest, mode: LocalMode = 'auto'): Promise<string | null> {
  try {
    await findLauncher(manifest.targetSpec, mode);
    return null;
  } catch (error) {
    if (error instanceof EmbedError && error.code === 'EM3201') return `${error.why}; ${error.fix}`;
    throw error;
  }
}
