/** A virtual board with the kernel module of the bundled model, and commands to it. */
import { join } from 'node:path';
import type { Test } from 'tap';
import type { BuildOptions } from '../../codegen/build-options.js';
import type { Manifest } from '../../codegen/bundle/manifest.js';
import { templatesFolder } from '../../codegen/emit/render.js';
import { BoardSession } from '../../deploy/session/board-session.js';
import { targets } from '../../targets/index.js';
import type { Target } from '../../targets/target.js';
import { buildOrReason, scratchFolder, sessionWith } from './board-bundle.js';
import { boardHeaders, compileForBoard, withFiles } from './kernel-board.js';
import { type BoardImage, boardImage, type Machine, startQemuBoard } from './qemu-board.js';

const bootMs = 240_000;

/** Targets whose modules are tested: with vector registers where kernel mode may have them. */
export const moduleTargets = { x86_64: 'x86_64-avx2', aarch64: 'cortex-a72', riscv64: 'riscv-u74' } as const;

export const targetNamed = (name: string): Target => targets.find((target) => target.name === name)!;

/** Runs a script on the board: what it said on both channels, and its exit code. */
export type Shell = (script: string) => Promise<{ readonly said: string; readonly code: number | null }>;

/** What a module is built with, and what was built. */
export interface ModuleBundle {
  readonly image: BoardImage;
  readonly target: Target;
  /** Folder that is given to make -C. */
  readonly headers: string;
  readonly folder: string;
  readonly bundle: string;
  readonly manifest: Manifest;
}

/** The bundled model with a module for the board's kernel; the reason where that cannot be had. */
export async function moduleBundle(
  machine: Machine,
  extras: Partial<BuildOptions> = {},
): Promise<ModuleBundle | string> {
  const image = boardImage(machine);
  if (typeof image === 'string') return image;
  const headers = boardHeaders(machine, image);
  if (typeof headers === 'string') return headers;
  return moduleFor(machine, image, headers.folder, extras);
}

/** The bundled model with a module for the kernel of these headers. */
export async function moduleFor(
  { arch }: Machine,
  image: BoardImage,
  headers: string,
  extras: Partial<BuildOptions> = {},
): Promise<ModuleBundle | string> {
  const target = targetNamed(moduleTargets[arch]);
  const folder = scratchFolder('module');
  const built = await buildOrReason(join(folder, 'out'), target, 'os-nano', {
    ...{ kernelModule: true, kernelHeaders: headers },
    ...extras,
  });
  return typeof built === 'string' ? built : { image, target, headers, folder, ...built };
}

/** What a board needs for the module of a bundle: path there to path here. */
export function moduleFiles({ target, folder, bundle, manifest }: ModuleBundle): Record<string, string> {
  const ask = join(folder, 'em-ask');
  compileForBoard(target, join(templatesFolder, 'module', 'em-ask.c'), ask);
  return {
    'lib/modules/embed_model.ko': join(bundle, 'module', 'embed_model.ko'),
    [`lib/firmware/${manifest.kernelModule!.firmware}`]: join(bundle, 'model.blob'),
    'bin/em-ask': ask,
  };
}

/** Boots a board with more files in its initramfs. */
export async function bootWith(
  t: Test,
  machine: Machine,
  image: BoardImage,
  files: Readonly<Record<string, string>>,
): Promise<Shell> {
  const board = await startQemuBoard(t, machine, withFiles(image, files, scratchFolder('initramfs')), 'ssh');
  await board.begin();
  await board.ready(bootMs * (machine.slower ?? 1));
  const session = await BoardSession.open(board.ssh, null, sessionWith({ acceptNew: true }));
  t.teardown(() => session.close());
  return async (script) => {
    const { stdout, stderr, code } = await session.command(script);
    return { said: `${stdout}${stderr}`, code };
  };
}

/** What the kernel said that it says only where something is wrong. */
export const complaints = (dmesg: string) =>
  dmesg
    .split('\n')
    .filter((line) =>
      /WARNING|BUG|Oops|Call Trace|soft lockup|hung_task|rcu:.*stall|UBSAN|unreferenced object|suspected memory leak/i.test(
        line,
      ),
    );

/** em-ask asked for a golden run, by text and by ids. */
export function askCommands({ golden }: Manifest) {
  return golden.map((run) => {
    const { temperatureQ16, topK, topPQ16, seed } = run.sampling;
    const sampling = `-t ${temperatureQ16} -k ${topK} -p ${topPQ16} -s ${seed}`;
    const common = `em-ask -d -n ${run.tokenIds.length} ${sampling}`;
    const ids = `${common} -i ${run.promptIds.join(',')}`;
    return { run, ids, text: `${common} '${run.prompt}'` };
  });
}
