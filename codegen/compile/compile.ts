/** C sources of a bundle -> objects, a static library and a static hosted runner. */
import { mkdir, rm } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import type { Target } from '../../targets/target.js';
import { unwritable } from '../bundle/output-folder.js';
import type { PlannedCommand } from '../dry-run.js';
import { readElfObject } from './elf-object.js';
import { assemblerFlags, coldFlags, libraryFlags, linkFlags, runnerFlags } from './flags.js';
import { runTool } from './run-tool.js';
import { type SectionSizes, sectionSizes } from './section-sizes.js';
import type { Toolchain } from './toolchain.js';

export interface CompileOptions {
  readonly target: Target;
  readonly toolchain: Toolchain;
  /** Absolute paths of .c and .S files below `root`; those of one library have different names. */
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
  /** Names of the sources that run for every token; the others are compiled for size. Absent: all of them. */
  readonly hotSources?: readonly string[];
  /** Refuse the sources on any warning. Off by default: a newer compiler may know new ones. */
  readonly warningsAreErrors?: boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface LibraryObject {
  /** Absolute paths. */
  readonly source: string;
  readonly object: string;
  /** The assembly listing the object was made from; null where the compiler made it at once. */
  readonly listing: string | null;
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
  /** Keeps the names of functions, for profiles. Off by default: the program is smaller without. */
  readonly keepSymbols?: boolean;
}

export interface LinkedRunner {
  readonly binary: string;
  readonly warnings: string;
  readonly flags: readonly string[];
}

/** Compilers at work at the same time. */
const parallelCompilers = 2;

/** The first program zig links for a CPU takes long: it compiles its C library before. */
const linkTimeoutMs = 1_800_000;

/**
 * Compiles the freestanding model library and archives it. Throws EM3002 with the compiler's words if a
 * source is refused.
 */
export async function compileLibrary(options: CompileOptions): Promise<CompiledLibrary> {
  const { toolchain, root, outDir, signal } = options;
  const flags = libraryFlags(toolchain.candidate, root);
  // Where nothing takes objects apart again, what they are assembled from is kept for the audit.
  const { objects, warnings } = await compileAll(options, flags, toolchain.objdump === null);
  const archive = archiveIn(outDir);
  await rm(archive, { force: true }); // `ar r` would keep members of an earlier build
  const members = objects.map(({ object }) => object);
  const environment = environmentOf(options);
  await runTool(archiveCommand(toolchain, archive, members), { signal, environment });
  return {
    objects,
    archive,
    sizes: sectionSizes(await Promise.all(members.map(readElfObject))),
    warnings,
    flags: withoutPaths(flags, root),
  };
}

/** Compiles the hosted runner and links it with the library into one static program. Throws EM3002. */
export async function linkRunner(options: RunnerOptions): Promise<LinkedRunner> {
  const { toolchain, root, library, output, keepSymbols = false, signal } = options;
  const flags = runnerFlags(toolchain.candidate, root);
  const { objects, warnings } = await compileAll(options, flags, false);
  const members = objects.map(({ object }) => object);
  const link = linkCommand(toolchain, members, library.archive, output, keepSymbols);
  const environment = environmentOf(options);
  const { stderr } = await runTool(link, { cwd: root, timeoutMs: linkTimeoutMs, signal, environment });
  return {
    binary: output,
    warnings: warnings + stderr,
    flags: withoutPaths([...flags, ...linkFlags(toolchain.candidate)], root),
  };
}

export interface PlannedCompilation {
  /** Of the library, which is audited then. */
  readonly objects: readonly LibraryObject[];
  readonly libraryCommands: readonly PlannedCommand[];
  readonly runnerCommands: readonly PlannedCommand[];
}

/** The objects and the commands of compileLibrary; nothing is started. */
export function plannedLibrary(options: CompileOptions) {
  const { toolchain, root, outDir } = options;
  const flags = libraryFlags(toolchain.candidate, root);
  const objects = objectsOf(options, toolchain.objdump === null);
  const compile = objects.flatMap((one) => compileCommands(options, flags, one));
  const members = objects.map(({ object }) => object);
  const commands: PlannedCommand[] = [
    ...compile.map((command) => ({ command, cwd: root })),
    { command: archiveCommand(toolchain, archiveIn(outDir), members), cwd: null },
  ];
  return { objects, commands };
}

/** The commands of compileLibrary and linkRunner for the same options; nothing is started. */
export function plannedCompilation(
  library: CompileOptions,
  runner: Omit<RunnerOptions, 'library'>,
): PlannedCompilation {
  const { toolchain, root } = library;
  const { objects, commands: libraryCommands } = plannedLibrary(library);
  const flags = runnerFlags(toolchain.candidate, root);
  const runnerObjects = objectsOf(runner, false);
  const members = runnerObjects.map(({ object }) => object);
  const link = linkCommand(toolchain, members, archiveIn(library.outDir), runner.output);
  const compile = runnerObjects.flatMap((one) => compileCommands(runner, flags, one));
  return {
    objects,
    libraryCommands,
    runnerCommands: [...compile, link].map((command) => ({ command, cwd: root })),
  };
}

const archiveIn = (outDir: string) => join(outDir, 'libem_model.a');

const archiveCommand = ({ ar }: Toolchain, archive: string, members: readonly string[]) => [
  ...ar,
  'rcsD',
  archive,
  ...members,
];

const linkCommand = (
  { command, candidate }: Toolchain,
  members: readonly string[],
  archive: string,
  output: string,
  keepSymbols = false,
) => [
  ...command,
  ...linkFlags(candidate, keepSymbols),
  ...members,
  '-lc', // before the archive, whose weak memcpy and memset would win otherwise
  archive,
  '-o',
  output,
];

/** In the order of the paths of their sources. */
function objectsOf({ sources, outDir, root }: CompileOptions, withListings: boolean): LibraryObject[] {
  return [...sources]
    .sort((a, b) => (relative(root, a) < relative(root, b) ? -1 : 1))
    .map((source) => {
      const path = join(outDir, relative(root, source).replace(/\.[cS]$/, ''));
      return { source, object: `${path}.o`, listing: withListings ? `${path}.s` : null };
    });
}

async function compileAll(options: CompileOptions, flags: readonly string[], withListings: boolean) {
  const { outDir } = options;
  const objects = objectsOf(options, withListings);
  const makeFolder = (folder: string) => mkdir(folder, { recursive: true });
  await Promise.all(objects.map(({ object }) => makeFolder(dirname(object)))).catch((cause: unknown) => {
    throw unwritable(outDir, cause);
  });
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

async function compileOne(
  options: CompileOptions,
  flags: readonly string[],
  one: LibraryObject,
): Promise<string> {
  const { root, signal } = options;
  const settings = { cwd: root, signal, environment: environmentOf(options) };
  let said = '';
  for (const command of compileCommands(options, flags, one))
    said += (await runTool(command, settings)).stderr;
  return said;
}

/** From a source to its object: by way of a listing where one is to be kept. */
function compileCommands(
  options: CompileOptions,
  flags: readonly string[],
  { source, object, listing }: LibraryObject,
): string[][] {
  const { toolchain, includeDirs, root, hotSources, warningsAreErrors = false } = options;
  const compile = [
    ...toolchain.command,
    ...flags,
    ...(hotSources?.includes(basename(source)) === false ? coldFlags : []),
    ...(warningsAreErrors ? ['-Werror'] : []),
    ...includeDirs.map((directory) => `-I${relative(root, directory) || '.'}`),
    ...(listing === null ? ['-c', '-o', object] : ['-S', '-o', listing]),
    relative(root, source),
  ];
  if (listing === null) return [compile];
  const assemble = [
    ...toolchain.command,
    ...assemblerFlags(toolchain.candidate),
    '-c',
    listing,
    '-o',
    object,
  ];
  return [compile, assemble];
}

/**
 * zig keeps every object it makes, under a hash that knows of #include but not of .incbin: a folder of this
 * build alone keeps it from giving back an old one.
 */
function environmentOf({ toolchain, outDir }: CompileOptions): NodeJS.ProcessEnv {
  const cache = toolchain.family === 'zig' ? { ZIG_LOCAL_CACHE_DIR: join(outDir, 'zig-cache') } : {};
  // What a compiler that is killed leaves behind goes with the objects.
  return { TMPDIR: outDir, TMP: outDir, TEMP: outDir, ...toolchain.environment, ...cache };
}

const withoutPaths = (flags: readonly string[], root: string) => flags.filter((flag) => !flag.includes(root));
