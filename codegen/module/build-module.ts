/** The stage of the kernel module: sources into the bundle, and embed_model.ko where there are headers for it. */
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { FileSystemHost } from '@ts-morph/common';
import type { Target } from '../../targets/target.js';
import type { BuildOptions } from '../build-options.js';
import { writeTexts } from '../bundle/bundle-files.js';
import type { GoldenRun, Manifest } from '../bundle/manifest.js';
import type { CompiledModel } from '../compile/model-library.js';
import { EmbedError } from '../diagnostics/error.js';
import type { EmittedModel } from '../emit/emit-bundle.js';
import type { StageContext } from '../progress.js';
import { compileModule } from './compile-module.js';
import { emitModule, firmwareName } from './emit-module.js';
import { type KernelHeaders, readKernelHeaders, runningKernelHeaders } from './kernel-headers.js';
import { requireKernelModeTarget, requireModuleSize, requireModuleStack } from './module-limits.js';

/** Where the weights lie that the module is linked with. */
export const linkedBlob = 'module/model.blob';

/** A kernel module that was asked for; `headers`: null where only sources can be had. */
export interface ModuleRequest {
  readonly headers: KernelHeaders | null;
  /** Whether the weights are a part of embed_model.ko, and not a file for the firmware loader. */
  readonly linked: boolean;
}

export interface ModuleInput {
  readonly target: Target;
  readonly module: ModuleRequest;
  readonly emitted: Pick<EmittedModel, 'buildId'>;
  readonly compiled: CompiledModel;
  readonly golden: readonly GoldenRun[];
}

/** What can be said before the work begins: null where no module is asked for. Throws EM1202, EM5002, EM5003. */
export function checkModuleRequest(options: BuildOptions): ModuleRequest | null {
  const { target, kernelModule = false, kernelHeaders = null, singleFile: linked } = options;
  if (!kernelModule) {
    if (kernelHeaders === null) return null;
    throw new EmbedError('EM1202', { where: '--kernel-headers', why: 'it goes with --kernel-module' });
  }
  requireKernelModeTarget(target);
  return {
    linked,
    headers: kernelHeaders === null ? runningKernelHeaders(target) : readKernelHeaders(kernelHeaders, target),
  };
}

/** Refuses weights that are too large for the module, before anything is compiled, and keeps those that it is linked with. Throws EM5001. */
export function prepareModule(bundle: string, { linked }: ModuleRequest, blobBytes: number): void {
  requireModuleSize(blobBytes, linked);
  if (!linked) return;
  mkdirSync(join(bundle, 'module'));
  copyFileSync(join(bundle, 'model.blob'), join(bundle, linkedBlob));
}

/** Throws EM5004, and what compiling throws. */
export async function buildModule(
  bundle: string,
  { target, module, emitted, compiled, golden }: ModuleInput,
  host: FileSystemHost,
  context: StageContext,
): Promise<NonNullable<Manifest['kernelModule']>> {
  requireModuleStack(compiled.audit.stack.bytes);
  writeTexts(host, bundle, emitModule({ buildId: emitted.buildId, golden, target, linked: module.linked }));
  const firmware = module.linked ? null : firmwareName(emitted.buildId);
  if (module.headers === null) {
    context.progress.warn('module/ has sources only: give --kernel-headers to have them compiled');
    return { firmware, kernel: null };
  }
  const { release, warnings } = await compileModule(bundle, target, module.headers, context);
  for (const warning of warnings) context.progress.warn(warning);
  return { firmware, kernel: release };
}
