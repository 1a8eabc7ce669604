/** Finds the compiler and the binary tools for a target on this machine. */
import { basename, dirname, join } from 'node:path';
import {
  type CompilerFamily,
  compilerFamilies,
  type Target,
  type ToolchainCandidate,
} from '../../targets/target.js';
import { EmbedError } from '../diagnostics/error.js';
import { findFirstProgram, findProgram } from './find-program.js';
import { runTool } from './run-tool.js';

export interface Toolchain {
  readonly family: CompilerFamily;
  /** Absolute path of the compiler and the arguments that choose the triple. */
  readonly command: readonly string[];
  /** First line of --version: names compiler, distribution and version. Goes into the manifest. */
  readonly version: string;
  /** The data it was found by, with the flags for this target. */
  readonly candidate: ToolchainCandidate;
  /** Absolute paths. */
  readonly ar: string;
  readonly objdump: string;
  /** What makes this objdump show local labels, to which branches on RISC-V lead. LLVM's always does. */
  readonly objdumpFlags: readonly string[];
  readonly size: string;
}

export interface ToolchainPreference {
  /** 'gcc', 'clang' or the path of a compiler; absent: the first candidate that exists. */
  readonly prefer?: string | undefined;
}

/** Asking a compiler for its version takes milliseconds; longer means that something else was started. */
const probeTimeoutMs = 20_000;

const found = new Map<string, Toolchain>();

/**
 * The first of the target's candidates that is installed and makes code for its architecture. Asked once a
 * process. Throws EM1202 for a preference that is neither a family nor a path, EM3001 (with the packages to
 * install) if there is no compiler, EM3004 if a binary tool is missing, EM3005 if the compiler asked for by
 * path cannot be used.
 */
export async function findToolchain(
  target: Target,
  preference: ToolchainPreference = {},
): Promise<Toolchain> {
  const { prefer } = preference;
  const key = JSON.stringify([target, prefer, process.env.PATH]);
  const known = found.get(key);
  if (known !== undefined) {
    return known;
  }
  const toolchain =
    prefer !== undefined && /[/\\]/.test(prefer)
      ? await compilerAt(target, prefer)
      : await firstInstalled(target, familyOf(prefer));
  found.set(key, toolchain);
  return toolchain;
}

function familyOf(prefer: string | undefined): CompilerFamily | undefined {
  const family = compilerFamilies.find((name) => name === prefer);
  if (prefer !== undefined && family === undefined) {
    throw new EmbedError('EM1202', {
      where: '--toolchain',
      why: `'${prefer}' is neither ${compilerFamilies.join(' nor ')} nor the path of a compiler`,
      fix: `give ${compilerFamilies.join(', ')} or a path with a '/' in it`,
    });
  }
  return family;
}

async function firstInstalled(target: Target, family: CompilerFamily | undefined): Promise<Toolchain> {
  const candidates = target.toolchains.filter(
    (candidate) => family === undefined || candidate.family === family,
  );
  for (const candidate of candidates) {
    const path = await findProgram(candidate.command[0]);
    if (path === undefined) {
      continue;
    }
    const command = [path, ...candidate.command.slice(1)];
    if (await makesCodeFor(target, command)) {
      return describe(command, candidate);
    }
  }
  const missing = [...new Set(candidates.map((candidate) => candidate.command[0]))];
  throw new EmbedError('EM3001', {
    where: target.name,
    why:
      candidates.length === 0
        ? `the target lists no ${family} toolchain`
        : `none of ${missing.join(', ')} in PATH makes code for ${target.arch}`,
    ...(candidates.length === 0 ? {} : { fix: installCommand(candidates[0].packages) }),
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
  const version = await firstVersionLine([program]);
  const family: CompilerFamily = /clang/i.test(version) ? 'clang' : 'gcc';
  const candidate = target.toolchains.find((one) => one.family === family);
  if (candidate === undefined) {
    throw new EmbedError('EM3005', { where: path, why: `${target.name} has no flags for ${family}` });
  }
  const command = [program, ...candidate.command.slice(1)];
  if (!(await makesCodeFor(target, command))) {
    throw new EmbedError('EM3005', {
      where: path,
      why: `it does not make code for ${target.arch} (${version})`,
    });
  }
  const prefix = basename(program).match(/^(.*-)gcc(?:-[\d.]+)?$/)?.[1];
  const beside = (tool: string) => (prefix === undefined ? [] : [join(dirname(program), `${prefix}${tool}`)]);
  const { ar, objdump, size } = candidate.binutils;
  return describe(command, {
    ...candidate,
    binutils: {
      ar: [...beside('ar'), ...ar],
      objdump: [...beside('objdump'), ...objdump],
      size: [...beside('size'), ...size],
    },
  });
}

async function describe(command: readonly string[], candidate: ToolchainCandidate): Promise<Toolchain> {
  const tool = async (names: readonly string[]): Promise<string> => {
    const path = await findFirstProgram(names);
    if (path === undefined) {
      throw new EmbedError('EM3004', {
        where: names[0],
        why: `none of ${names.join(', ')} is in PATH`,
        fix: installCommand(candidate.packages),
      });
    }
    return path;
  };
  const objdump = await tool(candidate.binutils.objdump);
  const isGnu = /\bGNU\b/.test(await firstVersionLine([objdump]));
  return {
    family: candidate.family,
    command,
    version: await firstVersionLine(command),
    candidate,
    ar: await tool(candidate.binutils.ar),
    objdump,
    objdumpFlags: isGnu ? ['--special-syms'] : [],
    size: await tool(candidate.binutils.size),
  };
}

/** A plain `gcc` makes code for whatever machine it is installed on: ask. */
async function makesCodeFor(target: Target, command: readonly string[]): Promise<boolean> {
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

async function firstVersionLine(command: readonly string[]): Promise<string> {
  const { stdout } = await runTool([...command, '--version'], { timeoutMs: probeTimeoutMs });
  return stdout.split('\n', 1)[0].trim();
}

/** How to install Debian packages. */
export function installCommand(packages: readonly string[]): string {
  return `sudo apt-get install ${packages.join(' ')}`;
}
