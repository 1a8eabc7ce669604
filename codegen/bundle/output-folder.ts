/** The output folder: written beside its place under another name, moved there when everything succeeded. */
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { mkdir, rename, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { EmbedError } from '../diagnostics/error.js';
import { readManifest } from './manifest.js';

export class OutputFolder {
  /** If the process ends before discard(), as at a second Ctrl-C. */
  private readonly onExit = () => rmSync(this.staging, { recursive: true, force: true });

  private constructor(
    readonly path: string,
    /** Where files are written until commit(). */
    readonly staging: string,
    /** The topmost of the folders above `path` that had to be made, if any. */
    private readonly firstMade: string | undefined,
  ) {
    process.once('exit', this.onExit);
  }

  /**
   * Checks that `path` is new, empty or an earlier bundle, and makes the staging folder. Throws EM1301 where it cannot be
   * written, EM1302 where it holds something that is not ours.
   */
  static async open(path: string): Promise<OutputFolder> {
    const { path: place, staging } = OutputFolder.places(path);
    let firstMade: string | undefined;
    try {
      refuseForeign(place);
      firstMade = await mkdir(dirname(place), { recursive: true });
      await rm(staging, { recursive: true, force: true });
      await mkdir(staging);
    } catch (cause) {
      await removeEmpty(dirname(place), firstMade);
      throw unwritable(place, cause);
    }
    return new OutputFolder(place, staging, firstMade);
  }

  /** Where a bundle for `path` is staged and where it comes to lie; writes nothing. Throws EM1302. */
  static planned(path: string): Pick<OutputFolder, 'path' | 'staging'> {
    const places = OutputFolder.places(path);
    refuseForeign(places.path);
    return places;
  }

  private static places(path: string): Pick<OutputFolder, 'path' | 'staging'> {
    const place = resolve(path);
    return { path: place, staging: join(dirname(place), `.${basename(place)}.embed-model-${process.pid}`) };
  }

  /** Puts the staged folder in its place; what was there before goes only when the new one stands. */
  async commit(): Promise<void> {
    const aside = `${this.staging}-old`;
    try {
      refuseForeign(this.path);
      const replaces = existsSync(this.path);
      if (replaces) await rename(this.path, aside);
      await rename(this.staging, this.path);
      if (replaces) await rm(aside, { recursive: true, force: true });
    } catch (cause) {
      if (!existsSync(this.path) && existsSync(aside)) await rename(aside, this.path);
      throw cause instanceof EmbedError ? cause : unwritable(this.path, cause);
    }
  }

  /** Removes what was staged, and the folders above it that were made for it; harmless after commit(). */
  async discard(): Promise<void> {
    await rm(this.staging, { recursive: true, force: true });
    process.off('exit', this.onExit);
    await removeEmpty(dirname(this.path), this.firstMade);
  }
}

/** Removes `folder` and those above it up to `last`, as long as nothing is in them; nothing where `last` is undefined. */
async function removeEmpty(folder: string, last: string | undefined): Promise<void> {
  if (last === undefined) return;
  try {
    await rmdir(folder);
  } catch {
    return; // the bundle is in it, or somebody else's file
  }
  if (folder !== last) await removeEmpty(dirname(folder), last);
}

function refuseForeign(place: string): void {
  if (!existsSync(place)) return;
  const foreign = (why: string) => new EmbedError('EM1302', { where: place, why });
  if (!statSync(place).isDirectory()) throw foreign('it is a file');
  const entries = readdirSync(place);
  if (entries.length === 0) return;
  if (!entries.includes('manifest.json'))
    throw foreign(`it holds ${entries.slice(0, 3).join(', ')} and no manifest.json`);
  try {
    readManifest(place);
  } catch (cause) {
    throw foreign(cause instanceof Error ? cause.message : String(cause));
  }
}

/** EM1301 with the system's reason, such as a full disk or missing permission. */
export function unwritable(where: string, cause: unknown): EmbedError {
  if (cause instanceof EmbedError) return cause;
  return new EmbedError('EM1301', {
    where,
    why: cause instanceof Error ? cause.message : String(cause),
    cause,
  });
}
