/** Runs the program of a build that was made for this machine. */
import { runLocally } from '../../deploy/local.js';
import { RecordParser } from '../../deploy/records.js';
import { RunCollector, type RunOutcome } from '../../deploy/run-outcome.js';
import { EmbedError } from '../diagnostics/error.js';
import type { HostBuild } from '../evaluate/host-build.js';

/** The largest models take seconds a token. */
const TIMEOUT_MS = 3_600_000;

/** Generates exactly `tokens` tokens, greedily, on one thread. Throws EM3204 where em-run fails. */
export async function runHostBuild(
  { target, binary, blob }: Pick<HostBuild, 'target' | 'binary' | 'blob'>,
  ids: readonly number[],
  tokens: number,
  signal: AbortSignal,
): Promise<RunOutcome> {
  const parser = new RecordParser();
  const collector = new RunCollector();
  const settings = ['--records', '--threads=1', '--no-digest', '--no-verify', '--ignore-end'];
  const run = await runLocally(
    target,
    binary,
    [blob, `--ids=${ids.join(',')}`, `--tokens=${tokens}`, ...settings],
    {
      mode: 'host',
      timeoutMs: TIMEOUT_MS,
      signal,
      onStdoutChunk: (chunk) => {
        for (const event of parser.push(chunk)) collector.add(event);
      },
    },
  );
  for (const event of parser.end()) collector.add(event);
  signal.throwIfAborted();
  const outcome = collector.outcome();
  if (outcome.complete) return outcome;
  const end = run.exitCode === undefined ? `ended by ${run.endedBySignal}` : `exit code ${run.exitCode}`;
  const said = outcome.error?.message ?? run.stderr.trim();
  throw new EmbedError('EM3204', { where: binary, why: said === '' ? end : `${said} (${end})` });
}
