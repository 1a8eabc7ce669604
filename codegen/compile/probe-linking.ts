import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ToolchainCandidate } from '../../targets/target.js';
import { EmbedError } from '../diagnostics/error.js';
import { linkFlags } from './flags.js';
import { runTool } from './run-tool.js';

/** What the runner needs of a system: a C library, threads, and the start files. */
const program = '#include <pthread.h>\n#include <stdio.h>\nint main(void) { return puts("") < 0; }\n';

/**
 * Makes the smallest program there is, in a folder that is removed. undefined if that works; else what the
 * compiler said. A compiler makes code for an architecture long before it has a C library for it.
 */
export async function whyNoPrograms(
  command: readonly string[],
  candidate: ToolchainCandidate,
): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'embed-model-probe-'));
  try {
    await writeFile(join(folder, 'probe.c'), program);
    await runTool([...command, ...linkFlags(candidate), 'probe.c', '-o', 'probe'], { cwd: folder });
    return undefined;
  } catch (error) {
    if (error instanceof EmbedError && error.code === 'EM3002') {
      return /^.*\berror:.*$/im.exec(error.why)?.[0].trim() ?? error.why;
    }
    throw error;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
