/** Runs bin/embed-model.js in a process of its own. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { projectRoot } from './project-root.js';

export interface RunSettings {
  /** Words before the command, such as those of chrt. */
  readonly prefix?: readonly string[];
  /** Exit codes that are no failure; absent: 0 alone. */
  readonly accepted?: readonly number[];
}

/** Throws with what it said on stderr where it fails. */
export function runEmbedModel(
  args: readonly string[],
  settings: RunSettings = {},
): Promise<{ stdout: string }> {
  const { prefix = [], accepted = [0] } = settings;
  const command = [...prefix, process.execPath, join(projectRoot, 'bin', 'embed-model.js'), ...args];
  const child = spawn(command[0]!, command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      if (code !== null && accepted.includes(code)) resolve({ stdout });
      else reject(new Error(`embed-model ${args.join(' ')}: exit code ${code}\n${stderr}`));
    });
  });
}
