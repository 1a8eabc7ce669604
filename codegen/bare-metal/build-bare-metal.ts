/** The stage of bare metal: sources into the bundle, and an image of code and weights that a board starts. */
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FileSystemHost } from '@ts-morph/common';
import type { Target } from '../../targets/target.js';
import { writeTexts } from '../bundle/bundle-files.js';
import type { GoldenRun, Manifest } from '../bundle/manifest.js';
import { unwritable } from '../bundle/output-folder.js';
import { compileLibrary, plannedLibrary } from '../compile/compile.js';
import { runTool } from '../compile/run-tool.js';
import type { Toolchain } from '../compile/toolchain.js';
import type { PlannedCommand } from '../dry-run.js';
import type { EmittedModel } from '../emit/emit-bundle.js';
import type { StageContext } from '../progress.js';
import type { BareMetalBoard } from './bare-metal-board.js';
import { bareMetalStackBytes, requireBareMetalMemory, requireBareMetalStack } from './bare-metal-request.js';
import { emitBareMetal } from './emit-bare-metal.js';
import { imageCompilation, imageLink } from './image-commands.js';
import { imageExtent } from './image-extent.js';
import { uImage } from './u-image.js';

export interface BareMetalInput {
  readonly board: BareMetalBoard;
  readonly target: Target;
  readonly toolchain: Toolchain;
  readonly emitted: EmittedModel;
  /** Deepest chain of calls of the library, in bytes. */
  readonly stackBytes: number;
  readonly golden: readonly GoldenRun[];
}

const objectsPrefix = () => join(tmpdir(), 'embed-model-bare-');

/** Compiles and links <bundle>/src and <bundle>/bare-metal, with objects in `scratch`. Throws EM3002, EM3004, EM3005. */
async function makeImage(
  bundle: string,
  { board, target, toolchain }: BareMetalInput,
  scratch: string,
  { progress, signal }: StageContext,
): Promise<{ imageBytes: number; memoryBytes: number }> {
  const namesIn = async (folder: string) =>
    (await readdir(join(bundle, folder))).map((name) => `${folder}/${name}`);
  const names = [...(await namesIn('src')), ...(await namesIn('bare-metal'))];
  const compilation = imageCompilation(bundle, names, target, toolchain, scratch);
  const { objects, warnings } = await compileLibrary({ ...compilation, signal });
  if (warnings !== '') progress.warn(warnings.trim());
  const members = objects.map(({ object }) => object);
  const { elf, image, commands } = await imageLink(bundle, board, target, toolchain, members, scratch);
  for (const command of commands) {
    await runTool(command, { cwd: bundle, signal, environment: toolchain.environment });
  }
  if (board.image.format === 'u-boot') {
    await writeFile(image, uImage(board, await readFile(image)));
  }
  return { imageBytes: (await stat(image)).size, memoryBytes: imageExtent(await readFile(elf), board.name) };
}

/** Writes <bundle>/bare-metal with the image. Throws EM5005, EM5007, EM3005 for zig, and what compiling throws. */
export async function buildBareMetal(
  bundle: string,
  input: BareMetalInput,
  host: FileSystemHost,
  context: StageContext,
): Promise<NonNullable<Manifest['bareMetal']>> {
  const { board, emitted, golden, stackBytes } = input;
  requireBareMetalMemory(board, emitted.blob.blobBytes, emitted.memory.arenaBytes);
  requireBareMetalStack(stackBytes);
  const { progress } = context;
  progress.begin('bare metal', 1, 'step');
  writeTexts(host, bundle, emitBareMetal(board, golden));
  const scratch = await mkdtemp(objectsPrefix()).catch((cause: unknown) => {
    throw unwritable(tmpdir(), cause);
  });
  try {
    const sizes = await makeImage(bundle, input, scratch, context);
    progress.advance(1);
    progress.end(`${board.image.name}, ${(sizes.imageBytes / 1e6).toFixed(2)} MB, for ${board.description}`);
    const { name, image, loadAddress } = board;
    const path = `bare-metal/${image.name}`;
    return { board: name, image: path, loadAddress, ...sizes, stackBytes: bareMetalStackBytes };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** The commands of buildBareMetal for files of these names. Throws EM3004, EM3005. */
export async function plannedImage(
  bundle: string,
  names: readonly string[],
  board: BareMetalBoard,
  target: Target,
  toolchain: Toolchain,
): Promise<PlannedCommand[]> {
  const scratch = `${objectsPrefix()}XXXXXX`;
  const { objects, commands } = plannedLibrary(imageCompilation(bundle, names, target, toolchain, scratch));
  const members = objects.map(({ object }) => object);
  const link = await imageLink(bundle, board, target, toolchain, members, scratch);
  return [...commands, ...link.commands.map((command) => ({ command, cwd: bundle }))];
}
