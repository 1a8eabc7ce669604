/** Compiles the sources of a bundle: the freestanding library, its audit, and the hosted runner. */
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Target } from '../../targets/target.js';
import { unwritable } from '../bundle/output-folder.js';
import type { StageContext } from '../progress.js';
import { type Audit, auditLibrary } from './audit.js';
import type { DeclaredCalls } from './call-graph.js';
import { type CompiledLibrary, compileLibrary, linkRunner } from './compile.js';
import type { SectionSizes } from './section-sizes.js';
import type { Toolchain } from './toolchain.js';

/** The calls through pointers that the emitted C makes: hooks of the caller, and tasks handed to one of them. */
const declaredCalls: DeclaredCalls = {
  indirect: {
    em_run_tasks: ['em_linear_task', 'em_attention_task', 'em_config.parallel'],
    em_trace: ['em_config.trace'],
    em_batch_logits: ['em_logits_fn'],
  },
  hooks: {
    'em_config.parallel': { stackBytes: 0, calls: ['em_linear_task', 'em_attention_task'] },
    'em_config.trace': { stackBytes: 0, calls: [] },
    em_logits_fn: { stackBytes: 0, calls: [] },
  },
};

export interface CompiledModel {
  readonly sizes: SectionSizes;
  readonly audit: Audit;
  readonly binary: string;
  readonly flags: readonly string[];
  /** What the compiler said, empty if nothing. */
  readonly warnings: string;
}

/** Objects lie below this folder, which `XXXXXX` makes new for each build. */
export const objectsTemplate = () => join(tmpdir(), 'embed-model-XXXXXX');

/** What is compiled from the files of a bundle, whose paths with slashes are `names`, to objects below `objects`. */
export function modelCompilation(
  bundle: string,
  names: readonly string[],
  target: Target,
  toolchain: Toolchain,
  objects: string,
) {
  const sources = (folder: string) =>
    names
      .filter((name) => name.startsWith(`${folder}/`) && /\.[cS]$/.test(name))
      .map((name) => join(bundle, name));
  const common = { target, toolchain, root: bundle, includeDirs: [join(bundle, 'src')] };
  return {
    library: {
      ...common,
      sources: sources('src'),
      hotSources: ['model.c', 'em_sample.c'],
      outDir: join(objects, 'library'),
    },
    runner: {
      ...common,
      sources: sources('runner'),
      outDir: join(objects, 'runner'),
      output: join(bundle, 'bin', 'em-run'),
    },
  };
}

/**
 * Compiles <bundle>/src and <bundle>/runner to <bundle>/bin/em-run. Objects go to a temporary folder that is
 * removed. Where the runner has a source that takes the blob in, <bundle>/model.blob goes, too.
 */
export async function compileModel(
  bundle: string,
  target: Target,
  toolchain: Toolchain,
  { progress, signal }: StageContext,
): Promise<CompiledModel> {
  const objects = await mkdtemp(objectsTemplate().replace(/X+$/, '')).catch((cause: unknown) => {
    throw unwritable(tmpdir(), cause);
  });
  try {
    progress.begin('compile', 3, 'step');
    const namesIn = async (folder: string) =>
      (await readdir(join(bundle, folder))).map((name) => `${folder}/${name}`);
    const names = [...(await namesIn('src')), ...(await namesIn('runner'))];
    const work = modelCompilation(bundle, names, target, toolchain, objects);
    const library: CompiledLibrary = await compileLibrary({ ...work.library, signal });
    progress.advance(1);
    const audit = await auditLibrary({ target, toolchain, library, declared: declaredCalls, signal });
    progress.advance(1);
    await mkdir(join(bundle, 'bin'), { recursive: true }).catch((cause: unknown) => {
      throw unwritable(bundle, cause);
    });
    const runner = await linkRunner({ ...work.runner, library, signal });
    if (names.includes('runner/embedded_blob.S')) {
      await rm(join(bundle, 'model.blob'));
    }
    progress.advance(1);
    const { textBytes, rodataBytes } = library.sizes;
    progress.end(
      `${((textBytes + rodataBytes) / 1000).toFixed(1)} kB of code, stack ${audit.stack.bytes} bytes`,
    );
    const warnings = library.warnings + runner.warnings;
    return { sizes: library.sizes, audit, binary: runner.binary, flags: library.flags, warnings };
  } finally {
    await rm(objects, { recursive: true, force: true });
  }
}
