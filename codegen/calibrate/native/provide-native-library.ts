/** Builds the native library with this machine's compiler, once, and keeps it in the user's cache folder. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheFolder } from '../../compile/cache-folder.js';
import { findFirstProgram } from '../../compile/find-program.js';
import { runTool } from '../../compile/run-tool.js';
import type { StageContext } from '../../progress.js';
import { adoptNativeLibrary } from './native-library.js';

/** Below this many parameters a model is through before a compiler is. */
const FEWEST_PARAMETERS = 1e6;
/** Systems whose loaders and threads the library is written for. */
const platforms: readonly NodeJS.Platform[] = ['linux', 'darwin'];
const compilers = ['cc', 'gcc', 'clang'];
/** No fused multiplication and addition: sums must be those of WebAssembly. */
const flags = ['-std=gnu11', '-O3', '-ffp-contract=off', '-fno-math-errno', '-fno-trapping-math', '-fPIC'];
const linking: Partial<Record<NodeJS.Platform, readonly string[]>> = {
  linux: ['-shared', '-pthread', '-lm'],
  darwin: ['-bundle', '-undefined', 'dynamic_lookup'],
};
const COMPILE_TIMEOUT_MS = 60_000;
/** Threads that a call uses at most. */
const MOST_THREADS = 16;

/** The cache folder that it was looked for in; null: it was not looked for yet. */
let lookedIn: string | null = null;

/**
 * Loads the library, after building it where it is not in the cache, for models of a million parameters or more. Does nothing
 * where the system is another, there is no compiler, or it fails: then WebAssembly does the work. Throws EM3007 when interrupted.
 */
export async function provideNativeLibrary(parameters: number, context: StageContext): Promise<void> {
  const folder = join(cacheFolder(), 'native');
  if (parameters < FEWEST_PARAMETERS || lookedIn === folder || !platforms.includes(process.platform)) return;
  lookedIn = folder;
  const sources = readSources();
  if (sources === null) return;
  const path = join(folder, `${keyOf(sources)}.node`);
  if (!isIntact(path) && !(await compile(sources, path, context))) return;
  adoptNativeLibrary(path, Math.min(MOST_THREADS, availableParallelism()));
}

interface Sources {
  readonly folder: string;
  /** Text by file name. */
  readonly files: ReadonlyMap<string, string>;
}

/** The C files beside this one's source, from the compiled file's place; null where they were left out. */
function readSources(): Sources | null {
  const folder = fileURLToPath(new URL('../../../../codegen/calibrate/native/', import.meta.url));
  if (!existsSync(folder)) return null;
  const names = readdirSync(folder).filter((name) => /\.[ch]$/.test(name));
  return {
    folder,
    files: new Map(names.sort().map((name) => [name, readFileSync(join(folder, name), 'utf8')])),
  };
}

/** A name made of everything that the file depends on; the processor too, for its instructions are used. */
function keyOf({ files }: Sources): string {
  const hash = createHash('sha256');
  hash.update(JSON.stringify([[...files], flags, process.platform, process.arch, process.versions.modules]));
  hash.update(processor());
  return hash.digest('hex').slice(0, 32);
}

function processor(): string {
  try {
    const text = readFileSync('/proc/cpuinfo', 'utf8');
    return /^(?:flags|Features|isa)\s*:.*$/m.exec(text)?.[0] ?? '';
  } catch {
    return cpus()[0]?.model ?? '';
  }
}

const sumFile = (path: string) => `${path}.sha256`;
const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

/** Whether the file is what was built: a damaged library could end the process when it is loaded. */
function isIntact(path: string): boolean {
  try {
    return sha256(readFileSync(path)) === readFileSync(sumFile(path), 'utf8');
  } catch {
    return false;
  }
}

/** Builds the library at `path`; false where that cannot be done. */
async function compile(
  { folder, files }: Sources,
  path: string,
  { progress, signal }: StageContext,
): Promise<boolean> {
  const compiler = await findFirstProgram(compilers);
  if (compiler === undefined) return false;
  progress.begin('build native linear algebra', 1, 'library');
  const unfinished = `${path}.${process.pid}`;
  const sources = [...files.keys()].filter((name) => name.endsWith('.c')).map((name) => join(folder, name));
  const command = (tuning: readonly string[]) => [
    ...[compiler, ...flags, ...tuning],
    ...['-o', unfinished, ...sources],
    ...linking[process.platform]!,
  ];
  try {
    mkdirSync(dirname(path), { recursive: true });
    const options = { timeoutMs: COMPILE_TIMEOUT_MS, signal };
    // Some compilers know -mcpu instead, some neither: then it is code for any processor of this kind.
    await runTool(command(['-march=native']), options).catch(() => runTool(command([]), options));
    writeFileSync(sumFile(path), sha256(readFileSync(unfinished)));
    renameSync(unfinished, path);
    progress.end('for this processor, kept in the cache folder');
    return true;
  } catch {
    signal.throwIfAborted();
    progress.end('not built, WebAssembly does its work');
    return false;
  } finally {
    rmSync(unfinished, { force: true });
  }
}
