/** boards unlock: removes a lock whose owner is gone, or, by force, any. */
import { EmbedError } from '../../codegen/diagnostics/error.js';
import { shellWord } from '../session/board-link.js';
import { readLock, removeIf } from '../session/board-lock.js';
import { decodeOwner, describeOwner, whyStale } from '../session/lock-owner.js';
import { type LinkOptions, openLink } from '../session/open-link.js';
import { remotePath } from '../session/remote-path.js';
import type { Board } from './board.js';

/** What was done, in words. Throws EM4030 where the owner may still be at work and `force` is not given. */
export async function unlockBoard(board: Board, force: boolean, options: LinkOptions): Promise<string> {
  const link = await openLink(board, options);
  try {
    const timeoutMs = board.limits.command * 1000;
    const script = `cat /proc/sys/kernel/random/boot_id 2>/dev/null || echo; cd ${remotePath(board.folder)} 2>/dev/null && pwd -P`;
    const [bootId = '', root = ''] = (
      await link.run(script, { timeoutMs, signal: options.signal })
    ).stdout.split('\n');
    const held = root === '' ? null : await readLock(link, root, timeoutMs);
    if (held === null) return `${board.name} is not locked`;
    const owner = decodeOwner(held);
    const who = owner === null ? held : describeOwner(owner);
    const stale = owner === null ? null : whyStale(owner, bootId.trim());
    if (stale === null && !force)
      throw new EmbedError('EM4030', { where: link.address, why: `held by ${who}` });
    // A guard that a crash left behind would keep even this from removing the lock.
    if (force) await link.run(`rm -f ${shellWord(`${root}/lock`)}.*`, { timeoutMs });
    await removeIf(link, `${root}/lock`, held, timeoutMs, options.signal);
    return `${board.name}: removed the lock of ${who}${stale === null ? '' : ` (${stale})`}`;
  } finally {
    await link.close();
  }
}
