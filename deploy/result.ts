/** result.json: the one record of a build or run, from which every report is derived. A field not measured is null. */
import type { Manifest } from '../codegen/bundle/manifest.js';
import type { MachineDescription } from './machine.js';
import type { RunOutcome } from './run-outcome.js';

export interface Result {
  readonly schemaVersion: 1;
  readonly tool: { readonly name: string; readonly version: string };
  readonly model: {
    readonly name: string;
    readonly family: string;
    readonly parameters: number;
    readonly sha256: string;
  };
  readonly target: string;
  readonly build: { readonly id: string; readonly quantizedSha256: string };
  readonly board: MachineDescription;
  readonly quantization: {
    readonly name: string;
    readonly bitsPerWeight: number;
    /** Tensors by format. */
    readonly formats: Readonly<Record<string, number>>;
    readonly method: string;
    /** null: nothing was certified. */
    readonly accepted: boolean | null;
  };
  readonly files: {
    readonly blobBytes: number;
    readonly binaryBytes: number | null;
    readonly textBytes: number | null;
    readonly rodataBytes: number | null;
    readonly dataBytes: number | null;
    readonly bssBytes: number | null;
  };
  readonly memory: {
    readonly weightsBytes: number;
    readonly kvCacheBytes: number;
    readonly activationBytes: number;
    readonly arenaBytes: number;
    readonly stackBytes: number | null;
    readonly peakRssBytes: number | null;
  };
  readonly speed: Speed;
  readonly output: {
    readonly prompt: string | null;
    readonly promptIds: readonly number[] | null;
    readonly text: string | null;
    readonly tokenIds: readonly number[] | null;
    readonly logitsDigest: string | null;
    readonly matchesGolden: boolean | null;
  };
  readonly warnings: readonly string[];
}

export interface Speed {
  readonly threads: number | null;
  readonly promptTokens: number | null;
  readonly promptTokensPerSecond: number | null;
  readonly generatedTokens: number | null;
  readonly tokensPerSecond: Rate;
  readonly timeToFirstTokenMs: number | null;
  readonly msPerToken: {
    readonly p50: number | null;
    readonly p90: number | null;
    readonly p99: number | null;
  };
}

/** What a run adds to what the manifest knows. */
export interface RunFacts {
  readonly outcome: RunOutcome;
  readonly prompt: string | null;
  readonly machine: MachineDescription;
  readonly matchesGolden: boolean | null;
  readonly binaryBytes: number;
}

/** Value at a share of ascending values, nearest rank; null of none. */
function percentile(ascending: readonly number[], share: number): number | null {
  if (ascending.length === 0) return null;
  return ascending[Math.max(0, Math.ceil(share * ascending.length - 1e-9) - 1)]!;
}

const round = (value: number | null, digits = 3) => (value === null ? null : Number(value.toFixed(digits)));

export interface Rate {
  readonly median: number | null;
  readonly p5: number | null;
  readonly p95: number | null;
}

/** Rates of steps that took so many milliseconds each: the fifth percentile is that of a slow step. Null without any. */
export function rateOf(msPerStep: readonly number[]): Rate {
  const ascending = [...msPerStep].sort((a, b) => a - b);
  const perSecond = (share: number) => {
    const ms = percentile(ascending, 1 - share);
    return ms === null || ms === 0 ? null : round(1000 / ms);
  };
  return { median: perSecond(0.5), p5: perSecond(0.05), p95: perSecond(0.95) };
}

/** Milliseconds a token of the prompt, of every run that says so. */
export function promptMsPerToken(runs: readonly RunOutcome[]): number[] {
  return runs.flatMap(({ timing }) =>
    timing === null || timing.promptNs === 0 ? [] : [timing.promptNs / 1e6 / timing.promptTokens],
  );
}

/**
 * Speed from the per-token times of one run, or of several of the same request: tokens are then taken together, and of the
 * prompts' times the median. The first token comes from the prompt: its time counts there.
 */
export function speedOf(runs: readonly [RunOutcome, ...RunOutcome[]]): Speed {
  const [{ timing, tokens }] = runs;
  const ascending = runs
    .flatMap((run) => run.tokens.slice(1).map(({ ns }) => ns / 1e6))
    .sort((a, b) => a - b);
  const firstTokenMs = runs
    .flatMap((run) =>
      run.timing === null || run.tokens.length === 0 ? [] : [(run.timing.promptNs + run.tokens[0]!.ns) / 1e6],
    )
    .sort((a, b) => a - b);
  return {
    threads: timing?.threads ?? null,
    promptTokens: timing?.promptTokens ?? null,
    promptTokensPerSecond: rateOf(promptMsPerToken(runs)).median,
    generatedTokens: tokens.length,
    tokensPerSecond: rateOf(ascending),
    timeToFirstTokenMs: round(percentile(firstTokenMs, 0.5)),
    msPerToken: {
      p50: round(percentile(ascending, 0.5)),
      p90: round(percentile(ascending, 0.9)),
      p99: round(percentile(ascending, 0.99)),
    },
  };
}

const noMachine: MachineDescription = {
  name: null,
  transport: null,
  emulated: false,
  cpu: null,
  kernel: null,
};

const noSpeed: Speed = {
  threads: null,
  promptTokens: null,
  promptTokensPerSecond: null,
  generatedTokens: null,
  tokensPerSecond: { median: null, p5: null, p95: null },
  timeToFirstTokenMs: null,
  msPerToken: { p50: null, p90: null, p99: null },
};

/** The record of a bundle that was run, or, with `facts` null, only built. */
export function composeResult(
  manifest: Manifest,
  facts: RunFacts | null,
  warnings: readonly string[],
): Result {
  const { model, memory, code } = manifest;
  const formats: Record<string, number> = {};
  for (const { format } of manifest.tensors) formats[format] = (formats[format] ?? 0) + 1;
  const outcome = facts?.outcome ?? null;
  return {
    schemaVersion: 1,
    tool: manifest.tool,
    model: { name: model.name, family: model.family, parameters: model.parameters, sha256: model.sha256 },
    target: manifest.target,
    build: manifest.build,
    board: facts?.machine ?? noMachine,
    quantization: {
      name: manifest.plan.name,
      bitsPerWeight: manifest.quantization.bitsPerWeight,
      formats,
      method: manifest.quantization.method,
      accepted: manifest.quantization.accepted ?? null,
    },
    files: {
      blobBytes: memory.blobBytes,
      binaryBytes: facts?.binaryBytes ?? null,
      textBytes: code?.textBytes ?? null,
      rodataBytes: code?.rodataBytes ?? null,
      dataBytes: code?.dataBytes ?? null,
      bssBytes: code?.bssBytes ?? null,
    },
    memory: {
      weightsBytes: memory.weightsBytes,
      kvCacheBytes: memory.kvCacheBytes,
      activationBytes: memory.activationBytes,
      arenaBytes: memory.arenaBytes,
      stackBytes: memory.stackBytes,
      peakRssBytes: outcome?.memory?.peakRss ?? null,
    },
    speed: outcome === null ? noSpeed : speedOf([outcome]),
    output: {
      prompt: facts?.prompt ?? null,
      promptIds: outcome?.promptIds ?? null,
      text: outcome?.text ?? null,
      tokenIds: outcome === null ? null : outcome.tokens.map((t) => t.id),
      logitsDigest: outcome?.digest?.value ?? null,
      matchesGolden: facts?.matchesGolden ?? null,
    },
    warnings,
  };
}
