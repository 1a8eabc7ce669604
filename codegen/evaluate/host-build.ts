/** A build that is made to be run on this machine once and thrown away. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Target } from '../../targets/target.js';
import { unwritable } from '../bundle/output-folder.js';
import type { ModelSource } from '../checkpoint/model-source.js';
import { compileModel } from '../compile/model-library.js';
import { findToolchain, type Toolchain } from '../compile/toolchain.js';
import { type EmitInput, emitBundle } from '../emit/emit-bundle.js';
import type { IntegerModel } from '../lower/lower.js';
import type { StageContext } from '../progress.js';
import type { Plan } from '../quantize/plan.js';

/** What builds are made for, and by what. */
export interface BuildMachine {
  readonly target: Target;
  /** Absent: the first that can be used. */
  readonly toolchain?: Toolchain;
}

export interface HostBuild extends Required<BuildMachine> {
  /** Temporary; there is room for more files in it. */
  readonly folder: string;
  /** Paths of em-run and its weights. */
  readonly binary: string;
  readonly blob: string;
}

/**
 * Emits and compiles an integer model, without its tokenizer, into a temporary folder, which is removed when `use` is done or
 * anything fails. Throws what emitting and compiling throw, EM1301 where the folder cannot be made.
 */
export async function withHostBuild<T>(
  { target, toolchain: given }: BuildMachine,
  source: ModelSource,
  plan: Plan,
  model: IntegerModel,
  context: StageContext,
  use: (build: HostBuild) => Promise<T>,
): Promise<T> {
  const toolchain = given ?? (await findToolchain(target));
  const { RealFileSystemHost } = await import('@ts-morph/common');
  const folder = temporaryFolder();
  try {
    await emitBundle(folder, new RealFileSystemHost(), hostBuildInput(target, source, plan, model), context);
    await compileModel(folder, target, toolchain, context);
    const binary = join(folder, 'bin', 'em-run');
    return await use({ target, toolchain, folder, binary, blob: join(folder, 'model.blob') });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function hostBuildInput(
  target: Target,
  source: ModelSource,
  plan: Plan,
  model: IntegerModel,
): EmitInput {
  return {
    ...{ modelName: source.name, modelSha256: source.checkpoint.sha256(), target, plan, model },
    ...{ tokenizer: null, bosId: null, eosIds: [] },
  };
}

function temporaryFolder(): string {
  try {
    return mkdtempSync(join(tmpdir(), 'embed-model-eval-'));
  } catch (cause) {
    throw unwritable(tmpdir(), cause);
  }
}
