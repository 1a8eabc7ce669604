/**
 * A target from a user's own file: `*.target.ts`, `.js` or `.json`.
 *
 * A script exports one object, as default or as `target`. It may import built-in targets to spread them, and
 * nothing else:
 *
 *     import { targets, type Target } from 'embed-model';
 *     const a72 = targets.find((target) => target.name === 'cortex-a72')!;
 *     export default { ...a72, name: 'rk3399', aliases: [] } satisfies Target;
 *
 * Node 20 cannot strip types, so the script goes through the TypeScript bundled with ts-morph. It is
 * evaluated by itself (see evaluate-target.ts), without file system, process or network, for a few seconds at
 * most; only plain data leaves it.
 */
import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import { EmbedError } from '../codegen/diagnostics/error.js';
import type { TargetScript } from './evaluate-target.js';
import type { Target } from './target.js';
import { validateTarget } from './validate-target.js';

/** No hand-written description of a machine is larger. */
const largestFileBytes = 256 * 1024;

/** Starting a thread takes a tenth of a second; the rest is for busy machines. */
const evaluationTimeoutMs = 3000;

/**
 * Reads, evaluates and checks the file. `builtIn` is what a script gets by importing embed-model. Throws
 * EM1205.
 */
export async function loadTarget(path: string, builtIn: readonly Target[]): Promise<Target> {
  const source = await readSource(path);
  const value = path.endsWith('.json') ? parseJson(source, path) : await evaluate(source, path, builtIn);
  return validateTarget(value, path);
}

async function readSource(path: string): Promise<string> {
  try {
    const status = await stat(resolve(path));
    if (!status.isFile() || status.size > largestFileBytes) {
      const found = status.isFile() ? `it has ${status.size} bytes` : 'it is not a file';
      throw new EmbedError('EM1205', {
        where: path,
        why: `${found}; a target is a file of at most ${largestFileBytes} bytes`,
      });
    }
    return await readFile(resolve(path), 'utf8');
  } catch (error) {
    if (error instanceof EmbedError) {
      throw error;
    }
    throw new EmbedError('EM1205', { where: path, why: `it cannot be read: ${reason(error)}`, cause: error });
  }
}

function parseJson(source: string, path: string): unknown {
  try {
    return JSON.parse(source.replace(/^\u{feff}/u, '')); // Windows editors write that mark
  } catch (error) {
    throw new EmbedError('EM1205', { where: path, why: `it is not JSON: ${reason(error)}`, cause: error });
  }
}

async function evaluate(source: string, path: string, builtIn: readonly Target[]): Promise<unknown> {
  const script = await transpile(source, path);
  const exported = await inWorker({ script, builtIn }).catch((error: unknown) => {
    throw new EmbedError('EM1205', {
      where: path,
      why: `it cannot be evaluated: ${reason(error)}`,
      cause: error,
    });
  });
  if (typeof exported !== 'string') {
    throw new EmbedError('EM1205', {
      where: path,
      why: "it exports no target, neither as default nor as 'target'",
    });
  }
  return JSON.parse(exported);
}

/** A thread of its own can be stopped whatever it does, and has a memory limit of its own. */
async function inWorker(work: TargetScript): Promise<unknown> {
  const worker = new Worker(new URL('./evaluate-target.js', import.meta.url), {
    workerData: work,
    env: {},
    stdout: true,
    stderr: true,
    resourceLimits: { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 16 },
  });
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
      worker.once('exit', () => reject(new Error('it ended without a result')));
      timer = setTimeout(
        () => reject(new Error(`not done after ${evaluationTimeoutMs / 1000} s`)),
        evaluationTimeoutMs,
      );
    });
  } finally {
    clearTimeout(timer);
    await worker.terminate();
  }
}

async function transpile(source: string, path: string): Promise<string> {
  const { ts } = await import('@ts-morph/common');
  const { outputText, diagnostics } = ts.transpileModule(source, {
    fileName: 'target.ts', // whatever its extension: JavaScript is TypeScript, and imports become require()
    reportDiagnostics: true,
    compilerOptions: {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.CommonJS,
      allowJs: true,
    },
  });
  const wrong = diagnostics?.find((diagnostic) => diagnostic.category === ts.DiagnosticCategory.Error);
  if (wrong !== undefined) {
    const line = wrong.file?.getLineAndCharacterOfPosition(wrong.start ?? 0).line ?? 0;
    const message = ts.flattenDiagnosticMessageText(wrong.messageText, ' ');
    throw new EmbedError('EM1205', { where: `${path}:${line + 1}`, why: message });
  }
  return outputText;
}

function reason(error: unknown): string {
  const message = (error as { message?: unknown } | null)?.message;
  return typeof message === 'string' ? message.split('\n', 1)[0] : String(error);
}
