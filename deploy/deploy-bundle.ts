/** deploy: brings a bundle to a board, proves there that it computes what the reference computes, and measures it. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Manifest, readManifest } from '../codegen/bundle/manifest.js';
import { EmbedError } from '../codegen/diagnostics/error.js';
import type { StageContext } from '../codegen/progress.js';
import { type BenchResult, benchBundle } from './bench-bundle.js';
import type { Board } from './boards/board.js';
import { type Installation, installBundle, requireInstallable } from './install/install-bundle.js';
import { equalsGolden, runRunner } from './run-bundle.js';
import type { BoardMachine } from './session/board-machine.js';
import type { SessionOptions } from './session/board-session.js';
import { withBoard } from './session/with-board.js';

export interface DeployOptions {
  readonly promptTokens: number | null;
  readonly tokens: number | null;
  readonly repeat: number;
  /** 0: one a processor of the board. */
  readonly threads: number;
  /** Deploys also what was not accepted. */
  readonly force: boolean;
  /** Folder on the board that the bundle is put into for boot, once it is proved; null: none. */
  readonly install: string | null;
}

export interface DeployFigures {
  /** Bytes that went to the board; 0: it had all of them. */
  readonly sentBytes: number;
  /** Golden runs of the manifest, and how many of them came out equal. */
  readonly goldenRuns: number;
  readonly goldenEqual: number;
  /** Absent where nothing was to be installed, or the bundle is not what it should be. */
  readonly installation?: Installation;
}

export interface DeployResult extends BenchResult {
  readonly deployment: DeployFigures;
}

/**
 * Throws EM1401, EM4037 for a bundle that was not accepted, and what withBoard and benchBundle throw. Logits that differ are no
 * error but in the result, and nothing is measured then that looks like a success: they are never tried again.
 */
export async function deployBundle(
  bundle: string,
  board: Board,
  options: DeployOptions,
  session: SessionOptions,
  context: StageContext,
): Promise<DeployResult> {
  const manifest = readManifest(bundle);
  if (!options.force) refuseUnaccepted(bundle);
  if (board.transport.kind === 'serial' && board.transport.serial.uboot !== undefined) {
    const { deployByUBoot } = await import('./u-boot/deploy-u-boot.js');
    return deployByUBoot(bundle, manifest, board, board.transport.serial, options, session, context);
  }
  if (options.install !== null && manifest.golden.length === 0) {
    const why = 'it has no golden run: what is installed could not be proved at boot';
    throw new EmbedError('EM4039', { where: bundle, why, fix: 'build it with a prompt: --prompt' });
  }
  return withBoard(board, manifest, session, async (machine) => {
    if (options.install !== null) await requireInstallable(machine.session, bundle, manifest);
    await machine.provide(bundle, manifest);
    const goldenEqual = await runGolden(bundle, manifest, machine, options.threads, context);
    const result = await benchBundle(bundle, { ...options, mode: machine }, context);
    const goldenRuns = manifest.golden.length;
    const matchesGolden = goldenEqual === goldenRuns ? result.output.matchesGolden : false;
    const installs = options.install !== null && matchesGolden === true;
    const installation = installs
      ? await installBundle(machine, bundle, manifest, options.install)
      : undefined;
    return {
      ...result,
      output: { ...result.output, matchesGolden },
      deployment: {
        ...{ sentBytes: machine.sentBytes, goldenRuns, goldenEqual },
        ...(installation === undefined ? {} : { installation }),
      },
    };
  });
}

async function runGolden(
  bundle: string,
  manifest: Manifest,
  machine: BoardMachine,
  threads: number,
  { progress, signal }: StageContext,
): Promise<number> {
  let equal = 0;
  progress.begin('golden', manifest.golden.length, 'run');
  for (const golden of manifest.golden) {
    const { promptIds: ids, tokenIds, sampling } = golden;
    const request = { prompt: null, ids, tokens: tokenIds.length, sampling, threads, chunk: null };
    const { outcome } = await runRunner(bundle, manifest, request, machine, signal);
    if (equalsGolden(outcome, golden)) equal += 1;
    progress.advance(1);
  }
  progress.end(
    equal === manifest.golden.length ? 'logits equal the reference' : 'LOGITS DIFFER from the reference',
  );
  return equal;
}

/** A bundle whose quantization was judged too lossy, or that failed its golden runs when it was built. */
function refuseUnaccepted(bundle: string): void {
  for (const name of ['acceptance.json', 'validation_report.json', 'result.json']) {
    const path = join(bundle, 'report', name);
    if (!existsSync(path)) continue;
    const record = readRecord(path);
    const isRefused =
      record.accepted === false ||
      record.quantization?.accepted === false ||
      record.output?.matchesGolden === false;
    if (isRefused) throw new EmbedError('EM4037', { where: bundle, why: `${path} says so` });
  }
}

interface JudgedRecord {
  readonly accepted?: unknown;
  readonly quantization?: { readonly accepted?: unknown };
  readonly output?: { readonly matchesGolden?: unknown };
}

function readRecord(path: string): JudgedRecord {
  try {
    return (JSON.parse(readFileSync(path, 'utf8')) ?? {}) as JudgedRecord;
  } catch (cause) {
    throw new EmbedError('EM1401', {
      where: path,
      why: cause instanceof Error ? cause.message : String(cause),
      cause,
    });
  }
}
