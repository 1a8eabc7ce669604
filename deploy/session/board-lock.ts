/**
 * The lock of a board: a symbolic link on it whose target names the owner. `ln -s` makes it in one step with all that it says, even
 * on a full disk, and fails where there is one.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { EmbedError } from '../../codegen/diagnostics/error.js';
import { type BoardLink, shellWord } from './board-link.js';
import { decodeOwner, describeOwner, encodeOwner, ownLock, whyStale } from './lock-owner.js';

export interface LockOptions {
  /** Milliseconds to wait for it to become free. */
  readonly waitMs: number;
  /** Whether to take it from whoever has it. */
  readonly force: boolean;
  /** One small command. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Gets what people should know: who is waited for, what was taken over. */
  readonly tell: (message: string) => void;
}

const pollMs = 1000;

export class BoardLock {
  private constructor(
    /** The link's target while we hold it. */
    private readonly word: string,
    private readonly path: string,
  ) {}

  /** Takes the lock of the folder `root` of a board. Throws EM4030 where it is held, EM4033 where it cannot be made. */
  static async take(
    link: BoardLink,
    root: string,
    boardBoot: string,
    options: LockOptions,
  ): Promise<BoardLock> {
    const { timeoutMs, signal } = options;
    const path = `${root}/lock`;
    const word = encodeOwner(ownLock(boardBoot, randomBytes(8).toString('hex')));
    const until = performance.now() + options.waitMs;
    let told = '';
    for (;;) {
      const script = `LC_ALL=C ln -sn ${word} ${shellWord(path)} 2>&1 && echo taken || { echo held; readlink ${shellWord(path)}; }`;
      // Not to be interrupted: whoever does not hear the answer does not know that there is a lock to give back.
      const { stdout } = await link.run(script, { timeoutMs });
      const isOurs = /^taken$/m.test(stdout);
      if (signal?.aborted && isOurs) await removeIf(link, path, word, timeoutMs);
      signal?.throwIfAborted();
      if (isOurs) return new BoardLock(word, path);
      const held = stdout.split('\n').at(-2)?.trim() ?? '';
      if (held === 'held' || held === '') {
        // There is no lock now: it went in between, or none can be made here.
        const why = stdout.trim().split('\n')[0];
        if (!/File exists/i.test(why))
          throw new EmbedError('EM4033', { where: `${link.address}: ${path}`, why });
        continue;
      }
      const owner = decodeOwner(held);
      const stale = options.force ? 'forced' : owner === null ? null : whyStale(owner, boardBoot);
      if (stale !== null) {
        options.tell(`took over the lock of ${owner === null ? held : describeOwner(owner)}: ${stale}`);
        await removeIf(link, path, held, timeoutMs, signal);
        continue;
      }
      const who = owner === null ? held : describeOwner(owner);
      if (performance.now() >= until)
        throw new EmbedError('EM4030', { where: link.address, why: `held by ${who}` });
      if (who !== told) options.tell(`waiting for ${link.address}: held by ${who}`);
      told = who;
      await delay(Math.min(pollMs, Math.max(1, until - performance.now())), undefined, { signal }).catch(
        () => {
          throw signal?.reason;
        },
      );
    }
  }

  /** Gives it back, if it is still ours. Not to be interrupted. */
  async release(link: BoardLink, timeoutMs: number): Promise<void> {
    await removeIf(link, this.path, this.word, timeoutMs);
  }
}

/** Who holds it: the link's target, or null. */
export async function readLock(link: BoardLink, root: string, timeoutMs: number): Promise<string | null> {
  const { stdout } = await link.run(`readlink ${shellWord(`${root}/lock`)}`, { timeoutMs });
  return stdout.trim() === '' ? null : stdout.trim();
}

/**
 * Removes the lock if it is `word`. Of several that do so at once, the one that makes the guard removes it: a lock that somebody
 * else has taken in between is never removed.
 */
export async function removeIf(
  link: BoardLink,
  path: string,
  word: string,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<void> {
  const [lock, guard] = [shellWord(path), shellWord(`${path}.${word.split('_').at(-1)}`)];
  const script = `if ln -sn guard ${guard} 2>/dev/null; then
[ "$(readlink ${lock})" = ${shellWord(word)} ] && rm -f ${lock}
rm -f ${guard}
fi`;
  await link.run(script, { timeoutMs, signal });
}
