/** verify: checks the files of a bundle, runs its golden prompts and compares them with the integer reference, bit for bit. */
import { join } from 'node:path';
import { fileSha256 } from '../codegen/bundle/bundle-files.js';
import {
  type GoldenRun,
  type Manifest,
  readManifest,
  type SamplingSettings,
} from '../codegen/bundle/manifest.js';
import { EmbedError } from '../codegen/diagnostics/error.js';
import type { StageContext } from '../codegen/progress.js';
import type { Place } from './machine.js';
import { type RunnerRequest, runRunner } from './run-bundle.js';
import type { RunOutcome } from './run-outcome.js';
import { type LayerReport, verifyLayers } from './verify-layers.js';

export interface VerifyOptions {
  /** Compare every op as well, with the checkpoint in float and with the integer reference. */
  readonly layers: boolean;
  readonly mode: Place;
  /** 0: one a processor. */
  readonly threads: number;
  /** Path of the checkpoint, for `layers`; absent: the one that the manifest names. */
  readonly model?: string | null;
}

/** A golden run, done once more. */
export interface VerifiedRun {
  /** Its index in the manifest. */
  readonly golden: number;
  /** Tokens given to the model: the golden prompt, or all that the golden run decoded. */
  readonly promptTokens: number;
  readonly generatedTokens: number;
  readonly sampling: SamplingSettings;
  /** Tokens given to the model at a time; null: all of them. */
  readonly chunk: number | null;
  readonly digest: { readonly expected: string; readonly found: string | null };
  /** Whether the tokens are the golden ones; null where none were generated. */
  readonly sameTokens: boolean | null;
  /** Whether digest and tokens are the golden ones. */
  readonly matches: boolean;
}

/** The files of the bundle against their SHA-256 in the manifest. */
export interface VerifiedFiles {
  readonly checked: number;
  /** Paths of files that are missing, not readable or changed. */
  readonly different: readonly string[];
}

export interface VerifyReport {
  readonly schemaVersion: 1;
  readonly model: string;
  readonly target: string;
  /** Compared with what the running program says of itself. */
  readonly buildId: string;
  readonly emulated: boolean;
  readonly threads: number;
  readonly files: VerifiedFiles;
  readonly runs: readonly VerifiedRun[];
  /** Null where it was not asked for. */
  readonly layers: LayerReport | null;
  /** Whether all files and runs are as the manifest says and, where they were compared, all ops are identical. */
  readonly matches: boolean;
}

/** Sizes of chunks that leave a rest, one token at a time, and everything at once: none of them may change a bit. */
const chunks: readonly (number | null)[] = [1, 7, null];

/** What is run for a golden run: itself, then everything it decoded as a prompt, whose logits must have the same digest. */
function requestsFor({ promptIds, tokenIds, sampling }: GoldenRun, threads: number): RunnerRequest[] {
  const common = { prompt: null, sampling, threads };
  const decoded = [...promptIds, ...tokenIds.slice(0, -1)];
  return [
    { ...common, ids: promptIds, tokens: tokenIds.length, chunk: null },
    ...chunks.map((chunk) => ({ ...common, ids: decoded, tokens: 0, chunk })),
  ];
}

/** All runs of a verification, in order; `index` is that of the golden run in the manifest. */
export function verifyRequests({ golden: runs }: Pick<Manifest, 'golden'>, threads: number) {
  return runs.flatMap((golden, index) =>
    requestsFor(golden, threads).map((request) => ({ golden, index, request })),
  );
}

/**
 * Verifies a bundle on this machine or under its emulator. What differs is in the report; thrown is what keeps it from running:
 * EM1401 (no bundle, or one without golden runs), EM3201, EM3204 to EM3206, and with `layers` EM2013, EM2014, EM3207.
 */
export async function verifyBundle(
  bundle: string,
  options: VerifyOptions,
  context: StageContext,
): Promise<VerifyReport> {
  const manifest = readManifest(bundle);
  const [first] = manifest.golden;
  if (first === undefined) {
    throw new EmbedError('EM1401', { where: bundle, why: 'its manifest has no golden runs to compare with' });
  }
  const files = verifyFiles(bundle, manifest);
  const { runs, emulated } = await verifyRuns(bundle, manifest, options, context);
  const layers = options.layers
    ? await verifyLayers(bundle, manifest, first, { ...options, model: options.model ?? null }, context)
    : null;
  return {
    schemaVersion: 1,
    model: manifest.model.name,
    target: manifest.target,
    buildId: manifest.build.id,
    emulated,
    threads: options.threads,
    files,
    runs,
    layers,
    matches:
      files.different.length === 0 &&
      runs.every((run) => run.matches) &&
      (layers === null || layers.firstDifference === null),
  };
}

function verifyFiles(bundle: string, { files }: Manifest): VerifiedFiles {
  const entries = Object.entries(files);
  const holds = ([path, sha256]: [string, string]) => {
    try {
      return fileSha256(join(bundle, path)) === sha256;
    } catch (error) {
      if (error instanceof Error && 'syscall' in error) return false; // not there, or not readable
      throw error;
    }
  };
  return { checked: entries.length, different: entries.filter((one) => !holds(one)).map(([path]) => path) };
}

async function verifyRuns(
  bundle: string,
  manifest: Manifest,
  options: VerifyOptions,
  { progress, signal }: StageContext,
): Promise<{ runs: VerifiedRun[]; emulated: boolean }> {
  const runs: VerifiedRun[] = [];
  let emulated = false;
  const work = verifyRequests(manifest, options.threads);
  progress.begin('verify', work.length, 'run');
  for (const { golden, index, request } of work) {
    const run = await runRunner(bundle, manifest, request, options.mode, signal);
    emulated = run.machine.emulated;
    runs.push(compareRun(index, golden, request, run.outcome));
    progress.advance(1);
  }
  const different = runs.filter((run) => !run.matches).length;
  progress.end(different === 0 ? 'logits equal the reference' : `${different} of ${runs.length} DIFFER`);
  return { runs, emulated };
}

function compareRun(
  index: number,
  golden: GoldenRun,
  { ids, tokens, chunk }: RunnerRequest,
  outcome: RunOutcome,
): VerifiedRun {
  const digest = { expected: golden.logitsDigest, found: outcome.digest?.value ?? null };
  const found = outcome.tokens.map(({ id }) => id);
  const sameTokens = tokens === 0 ? null : found.join() === golden.tokenIds.join();
  return {
    golden: index,
    promptTokens: ids?.length ?? 0,
    generatedTokens: found.length,
    sampling: golden.sampling,
    chunk,
    digest,
    sameTokens,
    matches: digest.found === digest.expected && sameTokens !== false,
  };
}
