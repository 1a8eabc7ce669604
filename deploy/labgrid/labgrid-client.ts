/** Runs labgrid-client, the program of labgrid that reserves and acquires places of a shared farm. */
import { execFile } from 'node:child_process';
import { EmbedError } from '../../codegen/diagnostics/error.js';

export interface ClientEnd {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Whether it was stopped because its time was over. */
  readonly late: boolean;
}

const mostOutput = 1 << 20;

/**
 * `coordinator`: HOST:PORT, null for the one of LG_COORDINATOR or labgrid's default. Its own exit code is a result. Throws EM4005
 * where there is no such program, the signal's reason where that aborts.
 */
export function runLabgridClient(
  args: readonly string[],
  coordinator: string | null,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<ClientEnd> {
  const words = [...(coordinator === null ? [] : ['--coordinator', coordinator]), ...args];
  return new Promise((resolve, reject) => {
    const options = {
      encoding: 'utf8',
      timeout: timeoutMs,
      maxBuffer: mostOutput,
      ...(signal ? { signal } : {}),
    } as const;
    execFile('labgrid-client', words, options, (error, stdout, stderr) => {
      if (signal?.aborted) return reject(signal.reason);
      if (error === null) return resolve({ code: 0, stdout, stderr, late: false });
      if (error.code === 'ENOENT' || error.code === 'EACCES') {
        const why = `labgrid-client cannot be started (${error.code})`;
        return reject(
          new EmbedError('EM4005', {
            where: 'labgrid',
            why,
            fix: 'install it (pip install labgrid) and put it in PATH',
          }),
        );
      }
      const code = typeof error.code === 'number' ? error.code : 1;
      return resolve({ code, stdout, stderr, late: error.killed === true });
    });
  });
}
