/** Runs bin/embed-model.js as a shell would. */
import { type ChildProcess, spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where package.json lies, from dist/test/codegen/commands. */
export const projectRoot = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..', '..');

const bin = join(projectRoot, 'bin', 'embed-model.js');

export interface Ended {
  /** null if a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunSettings {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Gets the process as soon as it is started. */
  readonly onStarted?: (child: ChildProcess) => void;
}

/** Runs it with these arguments to its end. */
export function embedModel(args: readonly string[], settings: RunSettings = {}): Promise<Ended> {
  const { cwd = projectRoot, env = {}, onStarted } = settings;
  // What the tests run under must not reach the program.
  const { NODE_OPTIONS: _, NO_COLOR: __, ...inherited } = process.env;
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [bin, ...args], {
      cwd,
      env: { ...inherited, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
    onStarted?.(child);
  });
}
