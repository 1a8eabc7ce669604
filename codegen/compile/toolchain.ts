/** Finds the compiler and the binary tools for a target on this machine. */
import { basename, dirname, join } from 'node:path';
import {
  type CompilerFamily,
  compilerFamilies,
  type Target,
  type ToolchainCandidate,
} from '../../targets/target.js';
import { EmbedError } from '../diagnostics/error.js';
import { cacheFolder } from './cache-folder.js';
import { findFirstProgram, findProgram } from './find-program.js';
import { installCommand } from './install-command.js';
import { whyNoPrograms } from './probe-linking.js';
import { runTool } from './run-tool.js';
import { cachedZig } from './zig-cache.js';

export interface Toolchain {
  readonly family: CompilerFamily;
  /** Absolute path of the compiler and the arguments that choose the triple. */
  readonly command: readonly string[];
  /** Names compiler, distribution and version. Goes into the manifest. */
  readonly version: string;
  /** The data it was found by, with the flags for this target. */
  readonly candidate: ToolchainCandidate;
  /** Absolute path of the archiver, and arguments that make it one. */
  readonly ar: readonly string[];
  /** Absolute path of the disassembler, GNU's or LLVM's; null where there is none. */
  readonly objdump: string | null;
  /** Variables its programs need. */
  readonly environment: Readonly<Record<string, string>>;
}

export interface ToolchainPreference {
  /** 'gcc', 'clang', 'zig' or the path of a compiler; absent: the first candidate that can be used. */
  readonly prefer?: string | undefined;
}

/** Asking a compiler for its version takes milliseconds; longer means that something else was started. */
const probeTimeoutMs = 20_000;

const found = new Map<string, Toolchain>();

/**
 * The first of the target's candidates that is installed, makes code for its architecture and links it into
 * programs. Nothing is fetched, but a zig that was fetched earlier is found. Asked once a process.
 *
 * Throws EM1202 for a preference that is neither a family nor a path, EM3001 (with the packages to install) if
 * there is no compiler; EM3004 if the compilers there are lack a binary tool, EM3008 if they cannot link, EM3005
 * if the compiler asked for by path cannot be used.
 */
export async function findToolchain(
  target: Target,
  preference: ToolchainPreference = {},
): Promise<Toolchain> {
  const { prefer } = preference;
  const key = JSON.stringify([target, prefer, process.env.PATH, cacheFolder()]);
  const known = found.get(key);
  if (known !== undefined) {
    return known;
  }
  const toolchain =
    prefer !== undefined && /[/\\]/.test(prefer)
      ? await compilerAt(target, prefer)
      : await firstUsable(target, familyOf(prefer));
  found.set(key, toolchain);
  return toolchain;
}

/** Throws EM1202 for a preference that is no family. */
export function familyOf(prefer: string | undefined): CompilerFamily | undefined {
  const family = compilerFamilies.find((name) => name === prefer);
  if (prefer !== undefined && family === undefined) {
    throw new EmbedError('EM1202', {
      where: '--toolchain',
      why: `'${prefer}' is none of ${compilerFamilies.join(', ')}, nor the path of a compiler`,
      fix: `give ${compilerFamilies.join(', ')} or a path with a '/' in it`,
    });
  }
  return family;
}

async function firstUsable(target: Target, family: CompilerFamily | undefined): Promise<Toolchain> {
  const candidates = target.toolchains.filter((one) => family === undefined || one.family === family);
  let unusable: EmbedError | undefined;
  for (const candidate of candidates) {
    const [name, ...words] = candidate.command;
    const path = (await findProgram(name)) ?? (candidate.family === 'zig' ? await cachedZig() : undefined);
    if (path === undefined) {
      continue;
    }
    try {
      const command = [path, ...words];
      if (await makesCodeFor(target, command, candidate.family)) {
        return await describe(target, command, candidate);
      }
    } catch (error) {
      unusable ??= error instanceof EmbedError ? error : undefined;
      if (!(error instanceof EmbedError) || !['EM3002', 'EM3004', 'EM3008'].includes(error.code)) {
        throw error;
      }
    }
  }
  throw unusable ?? noCompiler(target, candidates, family);
}

/** EM3001: what was looked for, and what to install. */
export function noCompiler(
  target: Target,
  candidates: readonly ToolchainCandidate[],
  family: CompilerFamily | undefined,
): EmbedError {
  if (candidates.length === 0) {
    const why = `the target lists no ${family} toolchain`;
    return new EmbedError('EM3001', { where: target.name, why });
  }
  const missing = [...new Set(candidates.map((candidate) => candidate.command[0]))];
  const [{ packages }] = candidates;
  return new EmbedError('EM3001', {
    where: target.name,
    why:
      missing.length === 1
        ? `${missing[0]} is not in PATH, or makes no code for ${target.arch}`
        : `none of ${missing.join(', ')} in PATH makes code for ${target.arch}`,
    fix:
      packages.length > 0
        ? installCommand(packages)
        : 'install zig and put it in PATH, or let embed-model build fetch it',
  });
}

/**
 * A compiler given by path takes the flags of the first candidate of its family, and the binary tools beside
 * it if there are any.
 */
async function compilerAt(target: Target, path: string): Promise<Toolchain> {
  const program = await findProgram(path);
  if (program === undefined) {
    throw new EmbedError('EM3005', { where: path, why: 'there is no executable file of that name' });
  }
  const isZig = /^zig(?:\.exe)?$/.test(basename(program));
  const version = await firstLine([program, isZig ? 'version' : '--version']);
  const family: CompilerFamily = isZig ? 'zig' : /clang/i.test(version) ? 'clang' : 'gcc';
  const candidate = target.toolchains.find((one) => one.family === family);
  if (candidate === undefined) {
    throw new EmbedError('EM3005', { where: path, why: `${target.name} has no flags for ${family}` });
  }
  const command = [program, ...candidate.command.slice(1)];
  if (!(await makesCodeFor(target, command, family))) {
    throw new EmbedError('EM3005', {
      where: path,
      why: `it does not make code for ${target.arch} (${version})`,
    });
  }
  const prefix = basename(program).match(/^(.*-)gcc(?:-[\d.]+)?$/)?.[1];
  const beside = (tool: string) => (prefix === undefined ? [] : [join(dirname(program), `${prefix}${tool}`)]);
  const binutils = candidate.binutils && {
    ar: [...beside('ar'), ...candidate.binutils.ar],
    objdump: [...beside('objdump'), ...candidate.binutils.objdump],
  };
  return describe(target, command, { ...candidate, binutils });
}

async function describe(
  target: Target,
  command: readonly string[],
  candidate: ToolchainCandidate,
): Promise<Toolchain> {
  const { family, packages } = candidate;
  const tools = await binaryTools(command, candidate);
  if (tools === null) {
    const [zig] = command;
    const version = `zig ${await firstLine([zig, 'version'])}`;
    // zig brings a C library and links with it; compiling that takes too long for a question.
    return {
      family,
      command,
      version,
      candidate,
      ar: [zig, 'ar'],
      objdump: null,
      environment: zigEnvironment(),
    };
  }
  const obstacle = await whyNoPrograms(command, candidate);
  if (obstacle !== undefined) {
    throw new EmbedError('EM3008', {
      where: `${target.name}: ${command.join(' ')}`,
      why: obstacle,
      fix: installCommand(packages),
    });
  }
  const version = await firstLine([...command, '--version']);
  return { family, command, version, candidate, ar: [tools.ar], objdump: tools.objdump, environment: {} };
}

/** Where zig keeps the C libraries it compiles. */
export const zigEnvironment = () => ({ ZIG_GLOBAL_CACHE_DIR: join(cacheFolder(), 'zig-libraries') });

/** Absolute paths of the tools beside a compiler; null for zig, which is all of them itself. Throws EM3004. */
export async function binaryTools(
  [compiler]: readonly string[],
  { binutils, packages }: ToolchainCandidate,
): Promise<{ readonly ar: string; readonly objdump: string } | null> {
  if (binutils === null) return null;
  const tool = async (names: readonly string[]): Promise<string> => {
    const path = await findFirstProgram(names);
    if (path !== undefined) return path;
    throw new EmbedError('EM3004', {
      where: names[0],
      why: `${compiler} is there, but none of ${names.join(', ')} is in PATH`,
      fix: installCommand(packages),
    });
  };
  return { ar: await tool(binutils.ar), objdump: await tool(binutils.objdump) };
}

/** A plain `gcc` makes code for whatever machine it is installed on: ask. zig makes code for all. */
async function makesCodeFor(
  target: Target,
  command: readonly string[],
  family: CompilerFamily,
): Promise<boolean> {
  if (family === 'zig') {
    return true;
  }
  try {
    const { stdout } = await runTool([...command, '-dumpmachine'], { timeoutMs: probeTimeoutMs });
    const arch = stdout.trim().split('-', 1)[0].replace('amd64', 'x86_64').replace('arm64', 'aarch64');
    return arch === target.arch;
  } catch (error) {
    if (error instanceof EmbedError && error.code === 'EM3002') {
      return false; // e.g. a clang built without this architecture
    }
    throw error;
  }
}

async function firstLine(command: readonly string[]): Promise<string> {
  const { stdout } = await runTool(command, { timeoutMs: probeTimeoutMs });
  return stdout.split('\n', 1)[0].trim();
}
