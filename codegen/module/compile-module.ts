/** Has kbuild make embed_model.ko of the sources in a bundle, as a user would by hand. */
import { copyFile, cp, mkdtemp, rm, stat } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Target } from '../../targets/target.js';
import { unwritable } from '../bundle/output-folder.js';
import { findProgram } from '../compile/find-program.js';
import { runTool } from '../compile/run-tool.js';
import { EmbedError } from '../diagnostics/error.js';
import type { StageContext } from '../progress.js';
import { type KernelHeaders, kernelArchitectures } from './kernel-headers.js';

export interface CompiledModule {
  /** Of embed_model.ko without debug information. */
  readonly bytes: number;
  /** Release of the kernel it is for. */
  readonly release: string;
  /** What the compiler and modpost warned of, a line each. */
  readonly warnings: readonly string[];
}

/** A module of many files on a busy machine. */
const buildTimeoutMs = 300_000;

const module = 'embed_model.ko';

async function requireProgram(name: string): Promise<string> {
  const path = await findProgram(name);
  if (path === undefined) throw new EmbedError('EM3004', { where: name, why: 'kbuild needs it' });
  return path;
}

/** Arguments of make beside the folders. */
async function makeArguments({ triple, arch }: Target, { compiler }: KernelHeaders): Promise<string[]> {
  const prefix = `${triple}-`;
  const own = compiler === null ? undefined : await findProgram(prefix + compiler);
  if (own === undefined) await requireProgram(`${prefix}gcc`);
  return [
    `ARCH=${kernelArchitectures[arch]}`,
    `CROSS_COMPILE=${prefix}`,
    ...(own === undefined ? [`CC=${prefix}gcc`] : []),
    // Type information for BPF wants pahole and the kernel's own, which header packages have not.
    'CONFIG_DEBUG_INFO_BTF_MODULES=',
    'W=1',
  ];
}

/** What kbuild said that a developer would have to look at. A compiler of another version than the kernel's is none of it. */
export function moduleWarnings(said: string): string[] {
  const lines = said.split('\n').map((line) => line.trim());
  const harmless = /the compiler differs from the one used to build the kernel/;
  return lines.filter((line) => /\bwarning:|^WARNING:/i.test(line) && !harmless.test(line));
}

/**
 * Builds <bundle>/module/embed_model.ko in a temporary folder, so that nothing else of kbuild's stays in the bundle. Throws EM3002
 * with what make said where it fails, EM3004 where a program is missing.
 */
export async function compileModule(
  bundle: string,
  target: Target,
  headers: KernelHeaders,
  { progress, signal }: StageContext,
): Promise<CompiledModule> {
  const make = await requireProgram('make');
  const strip = await requireProgram(`${target.triple}-strip`);
  const settings = await makeArguments(target, headers);
  progress.begin('kernel module', 1, 'step');
  const folder = await mkdtemp(join(tmpdir(), 'embed-model-kernel-')).catch((cause: unknown) => {
    throw unwritable(tmpdir(), cause);
  });
  try {
    for (const part of ['src', 'module']) {
      await cp(join(bundle, part), join(folder, part), { recursive: true });
    }
    const built = join(folder, 'module', module);
    const jobs = `-j${availableParallelism()}`;
    const command = [make, jobs, '-C', headers.folder, `M=${join(folder, 'module')}`, ...settings, 'modules'];
    const { stdout, stderr } = await runTool(command, { timeoutMs: buildTimeoutMs, signal });
    await runTool([strip, '--strip-debug', built], { signal });
    await copyFile(built, join(bundle, 'module', module));
    const { bytes } = await stat(built).then(({ size }) => ({ bytes: size }));
    progress.advance(1);
    progress.end(`${module}, ${(bytes / 1000).toFixed(1)} kB, for ${headers.release}`);
    return { bytes, release: headers.release, warnings: moduleWarnings(`${stdout}\n${stderr}`) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
