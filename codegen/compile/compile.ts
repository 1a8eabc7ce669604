/** C sources of a bundle -> objects, a static library and a static hosted runner. */
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import type { Target } from '../../targets/target.js';
import { libraryFlags, linkFlags, runnerFlags } from './flags.js';
import { runTool } from './run-tool.js';
import { type SectionSizes, sectionSizes } from './section-sizes.js';
import type { Toolchain } from './toolchain.js';

export interface CompileOptions {
  readonly target: Target;
  readonly toolchain: Toolchain;
  /** Absolute paths of .c files below `root`; those of one library have different names. */
  readonly sources: readonly string[];
  /** Absolute paths. */
  readonly includeDirs: readonly string[];
  /**
   * The bundle's folder: compilers run in it and see relative names, so that no object holds the path of this
   * machine.
   */
  readonly root: string;
  /**
   * Absolute path of the folder for the archive and, in folders as below `root`, the objects; made if it is
   * not there.
   */
  readonly outDir: string;
  /** Refuse the sources on any warning. Off by default: a newer compiler may know new ones. */
  readonly warningsAreErrors?: boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface LibraryObject {
  /** Absolute paths. */
  readonly source: string;
  readonly object: string;
}

export interface CompiledLibrary {
  /** In the order of the paths of their sources. */
  readonly objects: readonly LibraryObject[];
  /** Absolute path of libem_model.a. */
  readonly archive: string;
  /** Bytes of the objects, before the linker leaves out what is not used. */
  readonly sizes: SectionSizes;
  /** What the compiler said, empty if nothing. */
  readonly warnings: string;
  /** The flags, for the reproducibility record; holds no path. */
  readonly flags: readonly string[];
}

export interface RunnerOptions extends CompileOptions {
  readonly library: CompiledLibrary;
  /** Absolute path of the program to make. */
  readonly output: string;
}

export interface LinkedRunner {
  readonly binary: string;
  readonly warnings: string;
  readonly flags: readonly string[];
}

/** Compilers at work at the same time. */
const parallelCompilers = 2;

/**
 * Compiles the freestanding model library and archives it. Throws EM3002 with the compiler's words if a
 * source is refused.
 */
export async function compileLibrary(options: CompileOptions): Promise<CompiledLibrary> {
  const { toolchain, root, outDir, signal } = options;
  const flags = libraryFlags(toolchain.candidate, root);
  const { objects, warnings } = await compileAll(options, flags);
  const archive = join(outDir, 'libem_model.a');
  await rm(archive, { force: true }); // `ar r` would keep members of an earlier build
  const members = objects.map(({ object }) => object);
  await runTool([toolchain.ar, 'rcsD', archive, ...members], { signal });
  return {
    objects,
    archive,
    sizes: await sectionSizes(toolchain, members, signal),
    warnings,
    flags: withoutPaths(flags, root),
  };
}

/** Compiles the hosted runner and links it with the library into one static program. Throws EM3002. */
export async function linkRunner(options: RunnerOptions): Promise<LinkedRunner> {
  const { toolchain, root, library, output, signal } = options;
  const flags = runnerFlags(toolchain.candidate, root);
  const { objects, warnings } = await compileAll(options, flags);
  const members = objects.map(({ object }) => object);
  const link = [
    ...toolchain.command,
    ...toolchain.candidate.cpuFlags,
    ...linkFlags,
    ...members,
    '-lc', // before the archive, whose weak memcpy and memset would win otherwise
    library.archive,
    '-o',
    output,
  ];
  const { stderr } = await runTool(link, { cwd: root, signal });
  return {
    binary: output,
    warnings: warnings + stderr,
    flags: withoutPaths([...flags, ...linkFlags], root),
  };
}

async function compileAll(options: CompileOptions, flags: readonly string[]) {
  const { sources, outDir, root } = options;
  const objects: LibraryObject[] = [...sources]
    .sort((a, b) => (relative(root, a) < relative(root, b) ? -1 : 1))
    .map((source) => ({ source, object: join(outDir, relative(root, source).replace(/\.c$/, '.o')) }));
  await Promise.all(objects.map(({ object }) => mkdir(dirname(object), { recursive: true })));
  const said = new Map<LibraryObject, string>();
  const waiting = objects.values();
  const worker = async () => {
    for (const one of waiting) {
      said.set(one, await compileOne(options, flags, one));
    }
  };
  // All of them, even after a failure: nobody must write into the folder once this function is left.
  const ends = await Promise.allSettled(Array.from({ length: parallelCompilers }, worker));
  for (const end of ends) {
    if (end.status === 'rejected') {
      throw end.reason;
    }
  }
  return { objects, warnings: objects.map((one) => said.get(one)).join('') };
}

async function compileOne(options: CompileOptions, flags: readonly string[], one: LibraryObject) {
  const { toolchain, includeDirs, root, warningsAreErrors = false, signal } = options;
  const command = [
    ...toolchain.command,
    ...flags,
    ...(warningsAreErrors ? ['-Werror'] : []),
    ...includeDirs.map((directory) => `-I${relative(root, directory) || '.'}`),
    '-c',
    relative(root, one.source),
    '-o',
    one.object,
  ];
  const { stderr } = await runTool(command, { cwd: root, signal });
  return stderr;
}

const withoutPaths = (flags: readonly string[], root: string) => flags.filter((flag) => !flag.includes(root));
