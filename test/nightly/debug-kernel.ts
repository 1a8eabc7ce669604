/** A kernel that looks for mistakes: KASAN, UBSAN, lockdep, kmemleak, fault injection. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { scratchFolder } from '../boards/board-bundle.js';
import { madeOnce } from '../boards/board-cache.js';
import type { Shell } from '../boards/module-board.js';
import { type BoardImage, boardImage, type Machine, machines } from '../boards/qemu-board.js';

const [x86] = machines as readonly [Machine];

/** Half a gigabyte of memory is for KASAN's shadow and kmemleak's records. */
export const debugMachine: Machine = {
  ...x86,
  ...{ name: 'x86_64 q35 debug', slower: 6, args: x86.args.map((arg) => (arg === '512' ? '1536' : arg)) },
};

export interface DebugKernel {
  readonly image: BoardImage;
  /** What modules of it are built with: given to make -C. */
  readonly headers: string;
  /** Where what its tests said is kept. */
  readonly log: string;
  /** Over what the board of the stock kernel has: nothing is to be loaded when it boots. */
  readonly files: Readonly<Record<string, string>>;
}

/** Compiled once of Debian's sources and kept; the reason where that is not possible. */
export function debugKernel(): DebugKernel | string {
  const image = boardImage(debugMachine);
  if (typeof image === 'string') return image;
  const made = madeOnce({
    files: ['test/nightly/make-debug-kernel.sh', 'test/nightly/debug-kernel.config'],
    name: ['debug-kernel'],
    args: (folder) => [folder],
    makes: ['kernel', 'build', 'version'],
    timeoutMs: 3 * 3_600_000,
  });
  if (typeof made === 'string') return made;
  const noModules = join(scratchFolder('debug-kernel'), 'modules');
  writeFileSync(noModules, '');
  return {
    image: { ...image, kernel: join(made.folder, 'kernel') },
    headers: join(made.folder, 'build'),
    log: join(made.folder, 'last-run.log'),
    files: { 'etc/modules': noModules },
  };
}

const kmemleak = '/sys/kernel/debug/kmemleak';

/** What is lost in memory: kmemleak's report, empty where nothing is. Objects count as lost some seconds after they were made. */
export async function leaks(sh: Shell): Promise<string> {
  const scan = `echo scan > ${kmemleak}`;
  return (await sh(`sleep 6; ${scan}; sleep 2; ${scan}; cat ${kmemleak}`)).said;
}

/** Mounts what the kernel's debugging is reached by; what was lost while it booted is not the module's. */
export async function beginDebugging(sh: Shell): Promise<string> {
  const mount = 'mount -t debugfs debugfs /sys/kernel/debug';
  const lockdep = 'grep debug_locks /proc/lockdep_stats';
  return (await sh(`${mount} && echo scan=off > ${kmemleak} && echo clear > ${kmemleak} && ${lockdep}`)).said;
}

/** What debugging has found, the first lines of each report. Traces alone are none: an allocation that fails has one. */
export const reports = (dmesg: string) =>
  dmesg
    .split('\n')
    .filter((line) =>
      /WARNING|BUG|Oops|KASAN|UBSAN|INFO: |ODEBUG|suspicious|unreferenced object|suspected memory leak/.test(
        line,
      ),
    );
