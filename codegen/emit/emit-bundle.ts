/** The emit stage: sources, runner and blob of an integer model, written to a folder. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FileSystemHost } from '@ts-morph/common';
import type { Target } from '../../targets/target.js';
import { writeTexts } from '../bundle/bundle-files.js';
import { type BlobLayout, layOutBlob, writeBlobFile } from '../layout/blob.js';
import { kernelSetOf } from '../layout/kernel-set.js';
import { type MemoryPlan, planMemory } from '../layout/memory-plan.js';
import { blobSections } from '../layout/sections.js';
import type { IntegerModel } from '../lower/lower.js';
import { breathe, type StageContext } from '../progress.js';
import type { Plan } from '../quantize/plan.js';
import { compileTokenizer } from '../tokenizer/compile-tokenizer.js';
import type { TokenizerModel } from '../tokenizer/tokenizer.js';
import { templatesFolder } from './render.js';
import { emitBuildId, emitSources } from './sources.js';

export interface EmitInput {
  readonly modelName: string;
  readonly modelSha256: string;
  readonly target: Target;
  readonly plan: Plan;
  readonly model: IntegerModel;
  readonly tokenizer: TokenizerModel | null;
  readonly bosId: number | null;
  readonly eosIds: readonly number[];
  /** Whether the runner is to hold the blob. */
  readonly singleFile?: boolean;
}

export interface EmittedModel {
  readonly buildId: string;
  readonly blob: BlobLayout;
  readonly memory: MemoryPlan;
}

/** Tokens that prefill takes through the layers at a time: activations of this many stay in the arena. */
const BATCH = 32;

/** SHA-256 over model hash, plan, target, sources and payload; never over itself. */
function buildIdOf(
  input: EmitInput,
  sources: ReadonlyMap<string, string>,
  payloadSha256: Uint8Array,
): Uint8Array {
  const hash = createHash('sha256');
  hash.update(JSON.stringify({ model: input.modelSha256, plan: input.plan, target: input.target }));
  for (const [name, text] of sources) hash.update(`\0${name}\0${text.length}\0${text}`);
  hash.update(payloadSha256);
  return new Uint8Array(hash.digest());
}

/** The runner's sources, by path in the bundle. The one in assembly takes the blob into the program. */
function runnerSources(singleFile: boolean): Map<string, string> {
  const wanted = singleFile ? /\.[chS]$/ : /\.[ch]$/;
  const names = readdirSync(join(templatesFolder, 'runner')).filter((name) => wanted.test(name));
  return new Map(
    names
      .sort()
      .map((name) => [`runner/${name}`, readFileSync(join(templatesFolder, 'runner', name), 'utf8')]),
  );
}

/** What the sources of a model are made from: sections of the blob, its layout, and the memory it needs. */
function layOut(input: EmitInput) {
  const kernels = kernelSetOf(input.target.kernelSet);
  const table = input.tokenizer === null ? null : compileTokenizer(input.tokenizer);
  const sections = blobSections(input.model, kernels, table);
  const blob = layOutBlob(sections);
  const memory = planMemory(input.model.graph, BATCH, kernels);
  return { kernels, sections, blob, memory, hasTokenizer: table !== null };
}

/** The C of the library, by name, but for the build's id. */
function modelSources(input: EmitInput, { kernels, blob, memory, hasTokenizer }: ReturnType<typeof layOut>) {
  const { modelName, plan, target, model, bosId, eosIds } = input;
  const names = { modelName, targetName: target.name, planName: plan.name };
  return emitSources({ ...names, model, memory, blob, bosId, eosIds, hasTokenizer }, kernels);
}

/** All text files, by path in the bundle. */
function bundleTexts(
  input: EmitInput,
  sources: ReadonlyMap<string, string>,
  buildId: Uint8Array,
): Map<string, string> {
  const files = new Map([...sources].map(([name, text]) => [`src/${name}`, text]));
  files.set('src/build_id.c', emitBuildId(buildId));
  return new Map([...files, ...runnerSources(input.singleFile === true)]);
}

/** The files that emitBundle would write, with their sizes in bytes, by path in the bundle. */
export function plannedEmission(input: EmitInput): Map<string, number> {
  const layout = layOut(input);
  const texts = bundleTexts(input, modelSources(input, layout), new Uint8Array(32)); // ids have one length
  const sizes = [...texts].map(([path, text]) => [path, Buffer.byteLength(text)] as const);
  return new Map<string, number>([['model.blob', layout.blob.blobBytes], ...sizes]);
}

/** Bytes of the arena that the sources of emitBundle would ask for. */
export const plannedArenaBytes = ({ model, target }: Pick<EmitInput, 'model' | 'target'>): number =>
  planMemory(model.graph, BATCH, kernelSetOf(target.kernelSet)).arenaBytes;

/** Writes src/, runner/ and model.blob below `folder`. */
export async function emitBundle(
  folder: string,
  host: FileSystemHost,
  input: EmitInput,
  { progress, signal }: StageContext,
): Promise<EmittedModel> {
  progress.begin('emit', 3, 'step');
  const layout = layOut(input);
  const { sections, blob, memory } = layout;
  progress.advance(1);
  await breathe(signal);
  const sources = modelSources(input, layout);
  progress.advance(1);
  await breathe(signal);
  const written = writeBlobFile(join(folder, 'model.blob'), {
    buildId: (payload) => buildIdOf(input, sources, payload),
    sections,
  });
  writeTexts(host, folder, bundleTexts(input, sources, written.buildId));
  progress.advance(1);
  const buildId = Buffer.from(written.buildId).toString('hex');
  progress.end(`blob ${(blob.blobBytes / 1e6).toFixed(2)} MB, build ${buildId.slice(0, 12)}`);
  return { buildId, blob, memory };
}
