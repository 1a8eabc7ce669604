/** Bundles for boards, built once a test file from a tiny checkpoint; and sessions on boards. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BuildOptions } from '../../codegen/build-options.js';
import { EmbedError } from '../../codegen/diagnostics/error.js';
import { build } from '../../codegen/pipeline.js';
import type { Progress } from '../../codegen/progress.js';
import { namedPlans } from '../../codegen/quantize/plan.js';
import type { DeployOptions } from '../../deploy/deploy-bundle.js';
import { findLauncher } from '../../deploy/local.js';
import type { SessionOptions } from '../../deploy/session/board-session.js';
import { targets } from '../../targets/index.js';
import type { Target } from '../../targets/target.js';
import { buildTinyBundle, quietContext, type TinyBundle } from '../codegen/evaluate/tiny-bundle.js';

/** A folder that goes when the process ends. */
export function scratchFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `em-${name}-`));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The target whose programs this machine runs itself; undefined where there is none. */
export async function nativeTarget(): Promise<Target | undefined> {
  for (const target of targets) {
    try {
      if (!(await findLauncher(target, 'host')).emulated) return target;
    } catch (error) {
      if (!(error instanceof EmbedError)) throw error;
    }
  }
  return undefined;
}

/**
 * A bundle, or why none can be built for the target here. 'tiny' fits a serial line, 'os-nano' is the bundled model, built
 * with `extras`.
 */
export async function buildOrReason(
  folder: string,
  target: Target | undefined,
  model: 'tiny' | 'os-nano' = 'tiny',
  extras: Partial<BuildOptions> = {},
): Promise<Pick<TinyBundle, 'bundle' | 'manifest'> | string> {
  if (target === undefined) return 'this machine runs programs of no target';
  try {
    return model === 'tiny'
      ? await buildTinyBundle(folder, target, 'int4')
      : await buildNano(folder, target, extras);
  } catch (error) {
    if (error instanceof EmbedError && error.code === 'EM3001') return error.message;
    throw error;
  }
}

function buildNano(out: string, target: Target, extras: Partial<BuildOptions>) {
  return build(
    {
      ...{
        target,
        model: null,
        out,
        plan: namedPlans.int8!,
        calibration: null,
        context: 128,
        toolchain: null,
      },
      ...{
        fetch: false,
        singleFile: false,
        tokenizer: true,
        prompt: null,
        tokens: 4,
        threads: 1,
        run: false,
        ...extras,
      },
    },
    quietContext(),
  );
}

/** Progress that keeps what is said. */
export function listening(): Progress & { readonly warnings: string[]; sent: number } {
  const heard = { warnings: [] as string[], sent: 0, begin() {}, end() {} };
  return Object.assign(heard, {
    advance: (units: number) => {
      heard.sent += units;
    },
    warn: (message: string) => {
      heard.warnings.push(message);
    },
  });
}

export function sessionWith(change: Partial<SessionOptions> = {}): SessionOptions {
  return {
    ...{ acceptNew: false, waitMs: 0, force: false, allowSlow: false },
    ...{ progress: listening(), signal: new AbortController().signal },
    ...change,
  };
}

export const quickDeploy: DeployOptions = {
  promptTokens: 4,
  tokens: 4,
  repeat: 2,
  threads: 1,
  force: false,
  install: null,
};
