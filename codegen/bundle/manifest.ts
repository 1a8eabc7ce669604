/** manifest.json: what a bundle is, and everything needed to reproduce or check it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Target } from '../../targets/target.js';
import { EmbedError } from '../diagnostics/error.js';
import type { ValidationReport } from '../evaluate/validation-report.js';
import type { FoldRecord } from '../quantize/folds/folds.js';
import type { FormatName } from '../quantize/format.js';
import type { Plan } from '../quantize/plan.js';
import type { MethodComparison } from '../quantize/quantize-model.js';
import type { KeptVocabulary } from '../vocabulary/prune-vocabulary.js';
import { manifestFault } from './manifest-fault.js';

export interface SamplingSettings {
  /** Q16; 0 is greedy. */
  readonly temperatureQ16: number;
  /** 0: no limit. */
  readonly topK: number;
  /** Q16 in (0, 65536]. */
  readonly topPQ16: number;
  /** Decimal digits of an unsigned 64-bit number. */
  readonly seed: string;
}

/** A prompt with what the integer reference makes of it: every implementation must give the same. */
export interface GoldenRun {
  readonly prompt: string | null;
  readonly promptIds: readonly number[];
  readonly sampling: SamplingSettings;
  readonly tokenIds: readonly number[];
  /** Over the logits of every position that was computed: prompt and all but the last generated token. */
  readonly logitsDigest: string;
}

export interface ManifestTensor {
  readonly name: string;
  readonly format: FormatName;
  readonly rows: number;
  readonly columns: number;
  /** Of its section in the blob, scales and paddings included. */
  readonly bytes: number;
}

/** What a certificate found; the whole of it is report/validation_report.json. */
export type Certificate = Pick<ValidationReport, 'text' | 'windows' | 'tokens' | 'lnRatio' | 'threshold'>;

/** An op as traces number it. */
export interface ManifestOp {
  readonly section: 'prologue' | 'layer' | 'epilogue';
  readonly index: number;
  readonly kind: string;
  readonly name: string;
}

export interface Manifest {
  readonly schemaVersion: 1;
  readonly tool: { readonly name: 'embed-model'; readonly version: string };
  readonly model: {
    readonly name: string;
    readonly family: string;
    readonly architecture: string;
    readonly parameters: number;
    /** SHA-256 over config and weight files. */
    readonly sha256: string;
    /** What was given as --model, or "bundled". */
    readonly source: string;
    /** What a .crystal file left out: scales of tensors, order of neurons (checkpoint/crystal-completion.ts). */
    readonly completion?: Readonly<Record<string, unknown>>;
  };
  readonly target: string;
  /** The target's data as it was at build time: a user's own target needs no file to run. */
  readonly targetSpec: Target;
  readonly plan: Plan;
  readonly context: number;
  readonly build: { readonly id: string; readonly quantizedSha256: string };
  readonly quantization: {
    readonly method: string;
    /** What decided between methods; null where only one was tried. */
    readonly comparison?: MethodComparison | null;
    /** Turns of keys and scales of AWQ that were folded into the weights, by place; absent where there are none. */
    readonly folds?: FoldRecord;
    /** Whether the loss was certified to be below the limit, and no other gate that was judged failed; null or absent: not certified. */
    readonly accepted?: boolean | null;
    readonly certification?: Certificate | null;
    readonly bitsPerWeight: number;
    readonly calibration: { readonly source: string; readonly sha256: string; readonly tokens: number };
    /** Largest magnitude seen by calibration, by range: the Q formats follow from it. */
    readonly ranges: Readonly<Record<string, number>>;
  };
  readonly tensors: readonly ManifestTensor[];
  readonly ops: readonly ManifestOp[];
  readonly logitsFrac: number;
  readonly tokenizer: boolean;
  /** The id map of a pruned vocabulary; absent where the bundle has all tokens of its checkpoint. */
  readonly vocabulary?: KeptVocabulary;
  /** Whether bin/em-run holds the weights; else they lie in model.blob. */
  readonly singleFile: boolean;
  /** Of module/, where the bundle has it. */
  readonly kernelModule?: {
    /** Where the kernel looks for model.blob, below /lib/firmware; null where the weights are linked into the module. */
    readonly firmware: string | null;
    /** Release of the kernel that embed_model.ko is for; null where there are only sources. */
    readonly kernel: string | null;
  };
  /** Of bare-metal/, where the bundle has it. */
  readonly bareMetal?: {
    /** As --bare-metal names it. */
    readonly board: string;
    /** Path in the bundle. */
    readonly image: string;
    readonly imageBytes: number;
    /** Address of the first byte of the image, and the memory from there on that it takes, arena and stack included. */
    readonly loadAddress: number;
    readonly memoryBytes: number;
    readonly stackBytes: number;
  };
  readonly memory: {
    readonly blobBytes: number;
    readonly weightsBytes: number;
    readonly arenaBytes: number;
    readonly stateBytes: number;
    readonly kvCacheBytes: number;
    readonly activationBytes: number;
    /** Deepest chain of calls of the library; null until it is compiled. */
    readonly stackBytes: number | null;
  };
  /** Of the library without weights; null until it is compiled. */
  readonly code: {
    readonly textBytes: number;
    readonly rodataBytes: number;
    readonly dataBytes: number;
    readonly bssBytes: number;
  } | null;
  readonly toolchain: { readonly version: string; readonly flags: readonly string[] } | null;
  readonly golden: readonly GoldenRun[];
  /** SHA-256 of every other file of the bundle, by path. */
  readonly files: Readonly<Record<string, string>>;
}

/** Reads and checks the manifest of a bundle. Throws EM1401. */
export function readManifest(bundle: string): Manifest {
  const path = join(bundle, 'manifest.json');
  const refuse = (why: string, cause?: unknown): never => {
    throw new EmbedError('EM1401', { where: path, why, cause });
  };
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    return refuse(cause instanceof SyntaxError ? `not JSON: ${cause.message}` : 'it cannot be read', cause);
  }
  if (typeof value !== 'object' || value === null) return refuse('it is not a JSON object');
  const manifest = value as Partial<Manifest>;
  if (manifest.tool?.name !== 'embed-model') return refuse('it is not of embed-model');
  if (manifest.schemaVersion !== 1) {
    return refuse(`schemaVersion is ${String(manifest.schemaVersion)}; this version reads 1`);
  }
  const fault = manifestFault(manifest);
  return fault === null ? (manifest as Manifest) : refuse(fault);
}
