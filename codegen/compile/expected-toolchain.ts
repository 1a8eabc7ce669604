import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { readHostCpu } from '../../deploy/host-cpu.js';
import type { CompilerFamily, Target, ToolchainCandidate } from '../../targets/target.js';
import { EmbedError } from '../diagnostics/error.js';
import type { PlannedCommand } from '../dry-run.js';
import { findNpm } from './find-npm.js';
import { findProgram } from './find-program.js';
import { linkFlags } from './flags.js';
import type { ToolchainRequest } from './provide-toolchain.js';
import { binaryTools, familyOf, noCompiler, type Toolchain, zigEnvironment } from './toolchain.js';
import { cachedZig, fetchCommand, fetchedZig, zigFolder, zigPackages } from './zig-cache.js';

export interface ExpectedToolchain {
  /** Without a version, which only the compiler itself can tell. */
  readonly toolchain: Toolchain;
  /** What findToolchain or provideToolchain start before they return it: questions to the compiler, npm. */
  readonly commands: readonly PlannedCommand[];
}

/**
 * The toolchain that provideToolchain is going to choose, as far as the programs in PATH tell; starts nothing. A compiler that
 * turns out to lack a library makes provideToolchain go on to the next. Throws EM3001, EM3004, EM3005, EM3009.
 */
export async function expectedToolchain(
  target: Target,
  { prefer, fetch }: ToolchainRequest,
): Promise<ExpectedToolchain> {
  if (prefer !== null && /[/\\]/.test(prefer)) return compilerAt(target, prefer);
  const family = familyOf(prefer ?? undefined);
  const candidates = target.toolchains.filter((one) => family === undefined || one.family === family);
  let unusable: EmbedError | undefined;
  for (const candidate of candidates) {
    const [name, ...words] = candidate.command;
    const path = (await findProgram(name)) ?? (candidate.family === 'zig' ? await cachedZig() : undefined);
    if (path === undefined || (name === 'gcc' && (await readHostCpu()).arch !== target.arch)) continue;
    try {
      return await expected([path, ...words], candidate);
    } catch (error) {
      if (!(error instanceof EmbedError)) throw error;
      unusable ??= error;
    }
  }
  const zig = candidates.find((one) => one.family === 'zig');
  const npm = await findNpm();
  if (zig === undefined || zigPackages() === undefined || npm === undefined) {
    throw unusable ?? noCompiler(target, candidates, family);
  }
  if (!fetch) {
    const why = 'no compiler is in PATH; zig would have to be fetched';
    throw new EmbedError('EM3009', { where: target.name, why });
  }
  const staging = `${zigFolder()}.partial-XXXXXX`;
  const fetching = { command: fetchCommand(npm, staging), cwd: staging };
  const { toolchain, commands } = await expected([fetchedZig(), ...zig.command.slice(1)], zig);
  return { toolchain, commands: [fetching, ...commands] };
}

/** Its family shows in its version; before it is asked, in its name. */
async function compilerAt(target: Target, path: string): Promise<ExpectedToolchain> {
  const program = await findProgram(path);
  if (program === undefined) {
    throw new EmbedError('EM3005', { where: path, why: 'there is no executable file of that name' });
  }
  const name = basename(program);
  const family: CompilerFamily = /^zig\b/.test(name) ? 'zig' : /clang/.test(name) ? 'clang' : 'gcc';
  const candidate = target.toolchains.find((one) => one.family === family);
  if (candidate === undefined) {
    throw new EmbedError('EM3005', { where: path, why: `${target.name} has no flags for ${family}` });
  }
  const asked = { command: [program, family === 'zig' ? 'version' : '--version'], cwd: null };
  const { toolchain, commands } = await expected([program, ...candidate.command.slice(1)], candidate);
  return { toolchain, commands: [asked, ...commands] };
}

async function expected(
  command: readonly string[],
  candidate: ToolchainCandidate,
): Promise<ExpectedToolchain> {
  const { family } = candidate;
  const common = { family, command, version: '', candidate };
  const here = (words: readonly string[]) => ({ command: words, cwd: null });
  const tools = await binaryTools(command, candidate);
  if (tools === null) {
    const [zig] = command;
    const toolchain = { ...common, ar: [zig, 'ar'], objdump: null, environment: zigEnvironment() };
    return { toolchain, commands: [here([zig, 'version'])] };
  }
  const probe = {
    command: [...command, ...linkFlags(candidate), 'probe.c', '-o', 'probe'],
    cwd: join(tmpdir(), 'embed-model-probe-XXXXXX'),
  };
  return {
    toolchain: { ...common, ar: [tools.ar], objdump: tools.objdump, environment: {} },
    commands: [here([...command, '-dumpmachine']), probe, here([...command, '--version'])],
  };
}
