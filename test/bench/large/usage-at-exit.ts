/** Loaded by `node --import` before a program: when that ends, what it used is written to the file that EM_USAGE names. */
import { writeFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

/** Of a process with all its threads, without the programs that it started. */
export interface Usage {
  readonly processorSeconds: number;
  /** Largest resident set. */
  readonly peakBytes: number;
}

const path = process.env.EM_USAGE;
if (isMainThread && path !== undefined) {
  process.once('exit', () => {
    const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
    const usage: Usage = {
      processorSeconds: (userCPUTime + systemCPUTime) / 1e6,
      peakBytes: 1024 * maxRSS,
    };
    writeFileSync(path, JSON.stringify(usage));
  });
}
