/** Looks at the surroundings of embed-model: what is there, what is missing, and how to get it. */
import { constants } from 'node:fs';
import { access, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { cacheFolder } from '../codegen/compile/cache-folder.js';
import { findNpm } from '../codegen/compile/find-npm.js';
import { findProgram } from '../codegen/compile/find-program.js';
import { installCommand } from '../codegen/compile/install-command.js';
import { runTool } from '../codegen/compile/run-tool.js';
import { findToolchain } from '../codegen/compile/toolchain.js';
import { cachedZig, zigPackages, zigSizes } from '../codegen/compile/zig-cache.js';
import { zigRelease } from '../codegen/compile/zig-release.js';
import { EmbedError } from '../codegen/diagnostics/error.js';
import { targets } from '../targets/index.js';
import type { CompilerFamily, Emulator, Target } from '../targets/target.js';
import { type HostCpu, readHostCpu, whyNotNative } from './host-cpu.js';

interface Looked {
  /** What was looked at. */
  readonly subject: string;
  /** What was found. */
  readonly detail: string;
}

/** fail: nothing can be built. warn: something embed-model can do is not possible here. Both say what to do about it. */
export type Finding =
  | (Looked & { readonly status: 'ok'; readonly fix?: never })
  | (Looked & { readonly status: 'warn' | 'fail'; readonly fix: string });

/** As in package.json, engines. */
const oldestNode = 20;

/**
 * A bundle of the largest default size (100 MB), twice while it is being replaced, with objects and a
 * checkpoint's statistics.
 */
const wantedFreeBytes = 500e6;

/** Findings in the order a reader wants them. Never throws for anything that is missing. */
export async function diagnose(): Promise<Finding[]> {
  const host = await readHostCpu();
  const toolchains = await Promise.all(targets.map((target) => checkToolchains(target)));
  const zig = await checkZig();
  return [
    checkNode(),
    checkCpu(host),
    ...toolchains.flat(),
    zig,
    ...requireOneToolchain(toolchains, zig),
    ...(await Promise.all(distinctEmulators().map((emulator) => checkEmulator(emulator)))),
    ...targets.map((target) => checkRunning(target, host)),
    await checkFolder('temporary folder', tmpdir()),
    await checkFolder('cache folder', cacheFolder()),
    await checkFolder('current folder', process.cwd()),
  ];
}

/** One line a finding, its fix indented below it, and a line that counts them. */
export function formatFindings(findings: readonly Finding[]): string {
  const width = Math.max(0, ...findings.map(({ subject }) => subject.length));
  const lines = findings.map(({ status, subject, detail, fix }) => {
    const line = `${status.padEnd(4)}  ${subject.padEnd(width)}  ${detail}`;
    return fix === undefined ? line : `${line}\n      ${' '.repeat(width)}  fix: ${fix}`;
  });
  const count = (wanted: Finding['status']) => findings.filter(({ status }) => status === wanted).length;
  return [...lines, `${count('ok')} ok, ${count('warn')} warn, ${count('fail')} fail`].join('\n');
}

function checkNode(): Finding {
  const subject = 'Node.js';
  const detail = process.version;
  return Number.parseInt(process.versions.node, 10) >= oldestNode
    ? { status: 'ok', subject, detail }
    : { status: 'fail', subject, detail, fix: `install Node.js ${oldestNode} or later` };
}

function checkCpu({ arch, model }: HostCpu): Finding {
  const subject = 'host CPU';
  return arch === undefined
    ? {
        status: 'warn',
        subject,
        detail: `${process.platform}/${process.arch}: what is built here cannot run here`,
        fix: 'build with --no-run, copy bin/em-run and model.blob to a board and run: ./em-run model.blob --prompt TEXT',
      }
    : { status: 'ok', subject, detail: `${arch}, ${model}` };
}

/**
 * A finding for each family of installed compilers the target lists. One that works is enough: then the others
 * may be absent. zig, which serves every target, has a finding of its own.
 */
async function checkToolchains(target: Target): Promise<Finding[]> {
  const families = [...new Set(target.toolchains.map(({ family }) => family))];
  const installed = families.filter((family) => family !== 'zig');
  const found = await Promise.all(installed.map((family) => checkToolchain(target, family)));
  const works = found.some(({ status }) => status === 'ok');
  return found.map(({ isAbsent, ...finding }) =>
    works && isAbsent
      ? { status: 'ok', subject: finding.subject, detail: 'not installed, not needed' }
      : finding,
  );
}

async function checkToolchain(
  target: Target,
  family: CompilerFamily,
): Promise<Finding & { isAbsent: boolean }> {
  const subject = `${target.name}: ${family}`;
  try {
    const { version, objdump } = await findToolchain(target, { prefer: family });
    return { status: 'ok', subject, detail: `${version}, ${objdump}`, isAbsent: false };
  } catch (error) {
    const isAbsent = error instanceof EmbedError && error.code === 'EM3001';
    return { ...missing(subject, error), isAbsent };
  }
}

/** What serves the targets that have no other compiler: in PATH, fetched earlier, or to be fetched. */
async function checkZig(): Promise<Finding> {
  const subject = 'zig, for all targets';
  const inPath = await findProgram('zig');
  const path = inPath ?? (await cachedZig());
  if (path !== undefined) {
    try {
      const { stdout } = await runTool([path, 'version'], { timeoutMs: 20_000 });
      const origin = inPath === undefined ? 'fetched earlier, ' : '';
      return { status: 'ok', subject, detail: `${origin}${stdout.trim()}, ${path}` };
    } catch (error) {
      return missing(subject, error);
    }
  }
  const fix = 'install zig and put it in PATH, or the compilers named above';
  if (zigPackages() === undefined) {
    const detail = `not in PATH, and none is known that could be fetched for ${process.platform}-${process.arch}`;
    return { status: 'warn', subject, detail, fix };
  }
  if ((await findNpm()) === undefined) {
    return { status: 'warn', subject, detail: 'not in PATH, and there is no npm to fetch it', fix };
  }
  const detail = `not here; a build without another compiler has npm fetch ${zigRelease.version}: ${zigSizes()}`;
  return { status: 'ok', subject, detail };
}

function requireOneToolchain(findings: readonly (readonly Finding[])[], zig: Finding): Finding[] {
  if ([zig, ...findings.flat()].some(({ status }) => status === 'ok')) {
    return [];
  }
  return [
    {
      status: 'fail',
      subject: 'C compilers',
      detail: 'none for any target',
      fix: findings[0]?.[0]?.fix ?? installCommand(['gcc', 'libc6-dev']),
    },
  ];
}

function distinctEmulators(): Emulator[] {
  const byProgram = new Map<string, Emulator>();
  for (const { emulator } of targets) {
    if (emulator !== null) {
      byProgram.set(emulator.program, emulator);
    }
  }
  return [...byProgram.values()];
}

async function checkEmulator(emulator: Emulator): Promise<Finding> {
  const subject = emulator.program;
  const path = await findProgram(subject);
  if (path === undefined) {
    return { status: 'warn', subject, detail: 'not in PATH', fix: installCommand([emulator.package]) };
  }
  try {
    const { stdout } = await runTool([path, '--version'], { timeoutMs: 20_000 });
    return { status: 'ok', subject, detail: stdout.split('\n', 1)[0] };
  } catch (error) {
    return missing(subject, error);
  }
}

/** Emulators have their own findings; this one is about the CPU. */
function checkRunning(target: Target, host: HostCpu): Finding {
  const obstacle = whyNotNative(target, host);
  const how = target.emulator === null ? 'boards only' : `${target.emulator.program} or a board`;
  return {
    status: 'ok',
    subject: `${target.name}: runs on`,
    detail: obstacle === undefined ? 'this machine' : `${how} (${obstacle})`,
  };
}

async function checkFolder(subject: string, path: string): Promise<Finding> {
  const existing = await nearestExisting(path);
  try {
    await access(existing, constants.W_OK | constants.X_OK);
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? String(error);
    return {
      status: 'warn',
      subject,
      detail: `${path} cannot be written (${reason})`,
      fix: `make ${existing} writable`,
    };
  }
  const { bavail, bsize } = await statfs(existing);
  const free = bavail * bsize;
  const detail = `${path}, ${(free / 1e9).toFixed(1)} GB free`;
  return free >= wantedFreeBytes
    ? { status: 'ok', subject, detail }
    : { status: 'warn', subject, detail, fix: `make room: a build may need ${wantedFreeBytes / 1e6} MB` };
}

/** A cache folder is made when it is first used. */
async function nearestExisting(path: string): Promise<string> {
  try {
    await access(path, constants.F_OK);
    return path;
  } catch {
    return dirname(path) === path ? path : nearestExisting(dirname(path));
  }
}

function missing(subject: string, error: unknown): Finding {
  return error instanceof EmbedError
    ? { status: 'warn', subject, detail: error.why, fix: error.fix }
    : {
        status: 'warn',
        subject,
        detail: String(error),
        fix: 'run the same with --verbose and report what it shows',
      };
}
