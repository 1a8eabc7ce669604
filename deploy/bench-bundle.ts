/** bench: runs a bundle several times over and makes the record of its speed and memory. */
import { type Manifest, readManifest } from '../codegen/bundle/manifest.js';
import { EmbedError } from '../codegen/diagnostics/error.js';
import type { StageContext } from '../codegen/progress.js';
import type { Place } from './machine.js';
import { promptMsPerToken, type Rate, type Result, rateOf, speedOf } from './result.js';
import { equalsGolden, type RunnerRequest, resultOf, runRunner } from './run-bundle.js';
import type { RunOutcome } from './run-outcome.js';
import { compareConditions } from './session/board-conditions.js';

export interface BenchOptions {
  /** Tokens of the prompt; null: 64, or half of a shorter context. */
  readonly promptTokens: number | null;
  /** Tokens to generate; null: 64, or what a shorter context leaves. */
  readonly tokens: number | null;
  /** Runs that are measured; at least one. */
  readonly repeat: number;
  /** 0: one a processor. */
  readonly threads: number;
  readonly mode: Place;
}

/** What a benchmark knows beyond the record of one run. */
export interface BenchFigures {
  readonly repeats: number;
  /** Milliseconds of every decode step, a list a repeat. */
  readonly tokenMs: readonly (readonly number[])[];
  /** Of the prompts of the repeats. */
  readonly promptTokensPerSecond: Rate;
  /** Blob + arena + what a runner may need besides. */
  readonly peakRssLimitBytes: number;
  /** Whether every repeat stayed below the limit; null where peak memory was not measured. */
  readonly peakRssWithinLimit: boolean | null;
}

/**
 * The record of a run, its speed over all repeats: latencies of all their tokens taken together, medians of what a repeat has
 * once. `output` is what every repeat generated, with the digest of the warm-up.
 */
export interface BenchResult extends Result {
  readonly bench: BenchFigures;
}

const defaultTokens = 64;

/** Beside blob and arena, a runner may hold 1.5 MiB: its code, its libc, its stacks, its buffers. */
export const runnerAllowanceBytes = 1.5 * 2 ** 20;

/** What a benchmark runs, in order. */
export interface BenchRequests {
  /** To know that what is measured is right; null where the manifest has no golden run. */
  readonly golden: RunnerRequest | null;
  /** With a digest, which a measurement goes without. */
  readonly warmUp: RunnerRequest;
  /** Measured as often as was asked for. */
  readonly measured: RunnerRequest;
}

const throttledWarning = 'the board was slowed down by heat or low voltage while it was measured';

/**
 * Runs the golden prompt once, the request once to warm up, then `repeat` times. Of a board, clock, heat and power are read before
 * and after what is measured. Throws EM1204 where the tokens do not fit the
 * context, and what runRunner throws.
 */
export async function benchBundle(
  bundle: string,
  options: BenchOptions,
  { progress, signal }: StageContext,
): Promise<BenchResult> {
  const manifest = readManifest(bundle);
  const { golden, warmUp, measured } = benchRequests(manifest, options);
  const run = async (one: RunnerRequest) => {
    const done = await runRunner(bundle, manifest, one, options.mode, signal);
    progress.advance(1);
    return done;
  };
  progress.begin('bench', options.repeat + (golden === null ? 1 : 2), 'run');
  const isGolden = golden === null ? null : equalsGolden((await run(golden)).outcome, manifest.golden[0]!);
  const first = await run(warmUp);
  const place = typeof options.mode === 'string' ? null : options.mode;
  const before = await place?.readConditions?.();
  const repeats: RunOutcome[] = [];
  for (let i = 0; i < options.repeat; i++) repeats.push((await run(measured)).outcome);
  const after = await place?.readConditions?.();
  const conditions = before === undefined || after === undefined ? null : compareConditions(before, after);
  const machine = conditions === null ? first.machine : { ...first.machine, conditions };
  progress.end(machine.emulated ? 'emulated' : undefined);

  const ids = (outcome: RunOutcome) => outcome.tokens.map(({ id }) => id).join();
  const isSame = repeats.every((repeat) => ids(repeat) === ids(first.outcome));
  const memory = bounded(manifest, machine.transport === 'emulator' ? [] : repeats);
  const warnings = [
    ...(memory.peakRssWithinLimit === false ? [limitWarning(memory)] : []),
    ...(conditions?.throttled ? [throttledWarning] : []),
  ];
  const outcome = { ...first.outcome, memory: memory.largest };
  const matchesGolden = isSame ? isGolden : false;
  const result = await resultOf(bundle, manifest, { outcome, machine }, null, matchesGolden, warnings);
  const { peakRssLimitBytes, peakRssWithinLimit } = memory;
  const promptTokensPerSecond = rateOf(promptMsPerToken(repeats));
  return {
    ...result,
    speed: speedOf([repeats[0]!, ...repeats.slice(1)]),
    bench: {
      repeats: repeats.length,
      tokenMs: repeats.map(tokenMs),
      promptTokensPerSecond,
      peakRssLimitBytes,
      peakRssWithinLimit,
    },
  };
}

/** Milliseconds of the decode steps of a run, to 100 ns. */
const tokenMs = ({ tokens }: RunOutcome) => tokens.slice(1).map(({ ns }) => Math.round(ns / 100) / 10_000);

/** The prompt is of ids that the model takes: those of the golden runs, over and over. Throws EM1204. */
export function benchRequests(manifest: Manifest, options: BenchOptions): BenchRequests {
  const { context, golden } = manifest;
  const { threads } = options;
  const promptTokens = options.promptTokens ?? Math.max(1, Math.min(defaultTokens, Math.floor(context / 2)));
  const tokens = options.tokens ?? Math.max(1, Math.min(defaultTokens, context - promptTokens));
  if (promptTokens + tokens > context) {
    throw new EmbedError('EM1204', {
      where: '--prompt-tokens and --tokens',
      why: `${promptTokens} and ${tokens} are more than the context of ${context}`,
      fix: 'ask for fewer, or build with a larger --context',
    });
  }
  const known = golden.flatMap(({ promptIds, tokenIds }) => [...promptIds, ...tokenIds]);
  const ids = Array.from({ length: promptTokens }, (_, i) => known[i % known.length] ?? 0);
  const common = { prompt: null, threads, chunk: null };
  const sampling = { temperatureQ16: 0, topK: 0, topPQ16: 65536, seed: '0' };
  const warmUp = { ...common, ids, tokens, sampling, ignoreEnd: true };
  const [first] = golden;
  return {
    golden:
      first === undefined
        ? null
        : { ...common, ids: first.promptIds, tokens: first.tokenIds.length, sampling: first.sampling },
    warmUp,
    measured: { ...warmUp, digest: false },
  };
}

/** The repeat that took the most memory, and whether that is within the limit. */
function bounded({ memory: { blobBytes, arenaBytes } }: Manifest, repeats: readonly RunOutcome[]) {
  const peakRssLimitBytes = blobBytes + arenaBytes + runnerAllowanceBytes;
  const known = repeats.flatMap(({ memory }) =>
    memory === null || memory.peakRss === null ? [] : [{ ...memory, peakRss: memory.peakRss }],
  );
  const largest = known.sort((a, b) => b.peakRss - a.peakRss)[0] ?? null;
  const peakRssWithinLimit = largest === null ? null : largest.peakRss <= peakRssLimitBytes;
  return { largest, peakRssLimitBytes, peakRssWithinLimit };
}

function limitWarning({ largest, peakRssLimitBytes }: ReturnType<typeof bounded>): string {
  return `peak memory of ${largest?.peakRss} bytes is above the limit of ${peakRssLimitBytes}: blob, arena and 1.5 MiB`;
}
