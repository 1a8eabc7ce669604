/** export: the quantized model of a bundle as files that other programs read. */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { readManifest } from '../bundle/manifest.js';
import { EmbedError } from '../diagnostics/error.js';
import { openReferenceSource, readReference } from '../evaluate/reference-model.js';
import type { StageContext } from '../progress.js';
import {
  huggingFaceConfig,
  type PackScheme,
  packedTensors,
  packScheme,
  quantizationConfig,
  type TurnedProjections,
  turnedProjections,
  unevenGroups,
  unpackedModules,
} from './compressed-tensors.js';
import { writeSafetensorsFile } from './safetensors-file.js';

export interface ExportResult {
  /** The folder that was written. */
  readonly folder: string;
  readonly scheme: PackScheme;
  readonly tensors: number;
  readonly turned: TurnedProjections;
  /** Quantized hash of the bundle, whose integers these are. */
  readonly quantizedSha256: string;
}

/** Tokenizer files beside a checkpoint, which go along. */
const tokenizerFiles = [
  'tokenizer.json',
  'tokenizer_config.json',
  'tokenizer.model',
  'vocab.json',
  'merges.txt',
];

/** The files that exportBundle would write. Opens the checkpoint, but does not quantize it. Throws EM1401, EM2013. */
export function plannedExport(
  bundle: string,
  options: { readonly out: string; readonly model: string | null },
): string[] {
  const source = openReferenceSource(readManifest(bundle), options.model);
  try {
    const tokenizer = source.vocabulary === undefined ? tokenizerFilesOf(source.path) : [];
    const names = ['config.json', 'model.safetensors', 'quantization_config.json', ...tokenizer];
    return names.map((name) => join(options.out, name));
  } finally {
    source.checkpoint.close();
  }
}

/**
 * Reads the integers of a bundle from its blob, checks them against manifest and checkpoint, and
 * writes them to a new folder: config.json, quantization_config.json, model.safetensors and the tokenizer's files.
 * Throws EM1401, EM2013, EM2014 (as eval does), EM1142 for what the format cannot hold and for a folder that is not new.
 */
export async function exportBundle(
  bundle: string,
  options: { readonly out: string; readonly model: string | null },
  context: StageContext,
): Promise<ExportResult> {
  const folder = resolve(options.out);
  if (existsSync(folder) && readdirSync(folder).length > 0)
    throw refuse(folder, 'the folder is there and not empty');
  const manifest = readManifest(bundle);
  const source = openReferenceSource(manifest, options.model);
  try {
    const { checkpoint } = source;
    const { config } = checkpoint;
    if (config.family !== 'llama')
      throw refuse(bundle, `the model is of the ${config.family} family; supported: llama`);
    if (config.ropeScaling.kind === 'factors')
      throw refuse(bundle, 'rope has a factor for each frequency, for which transformers has no setting');
    const { graph, matrices } = await readReference(bundle, manifest, source, context);
    const scheme = packScheme(graph, matrices);
    if (scheme === null) throw refuse(bundle, 'a matrix has more than 8 bits');
    warnOfUnevenGroups(unevenGroups(graph, scheme), scheme, context);
    const tensors = packedTensors(graph, matrices, checkpoint, scheme);
    const quantization = quantizationConfig(scheme, unpackedModules(graph));
    const staging = join(dirname(folder), `.${process.pid}.embed-model-export`);
    try {
      mkdirSync(staging, { recursive: true });
      writeSafetensorsFile(join(staging, 'model.safetensors'), tensors);
      const settings = { ...huggingFaceConfig(config), quantization_config: quantization };
      writeFileSync(join(staging, 'config.json'), `${JSON.stringify(settings, null, 2)}\n`);
      writeFileSync(join(staging, 'quantization_config.json'), `${JSON.stringify(quantization, null, 2)}\n`);
      if (source.vocabulary === undefined) copyTokenizer(source.path, staging);
      if (existsSync(folder)) rmdirSync(folder);
      renameSync(staging, folder);
    } finally {
      rmSync(staging, { recursive: true, force: true });
    }
    const { quantizedSha256 } = manifest.build;
    const turned = turnedProjections(graph, scheme);
    return { folder, scheme, tensors: tensors.length, turned, quantizedSha256 };
  } finally {
    source.checkpoint.close();
  }
}

function warnOfUnevenGroups(
  uneven: readonly string[],
  { groupSize }: PackScheme,
  context: StageContext,
): void {
  if (uneven.length === 0) return;
  const which = `${uneven.length} projections, the first ${uneven[0]}`;
  context.progress.warn(
    `columns are no multiple of the group of ${groupSize} in ${which}: compressed-tensors refuses such weights, embed-model ` +
      'reads them; weights of int8 have no groups',
  );
}

const tokenizerFilesOf = (folder: string) => tokenizerFiles.filter((name) => existsSync(join(folder, name)));

function copyTokenizer(from: string, to: string): void {
  for (const name of tokenizerFilesOf(from)) copyFileSync(join(from, name), join(to, name));
}

function refuse(where: string, why: string): EmbedError {
  return new EmbedError('EM1142', { where, why });
}
