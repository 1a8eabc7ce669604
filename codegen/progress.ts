/** How stages report on long work and hear of interruption; the command line shows it, a library user may ignore it. */

export interface Progress {
  /** Work begins: a name for people, how many units it has, and what a unit is. */
  begin(stage: string, total: number, unit: string): void;
  /** So many more units are done. */
  advance(units: number): void;
  /** The stage is done; `note` says what came out, in a few words. */
  end(note?: string): void;
  /** Something the user should know and that is no error. Also collected into result.json. */
  warn(message: string): void;
}

/** What every stage gets. */
export interface StageContext {
  readonly progress: Progress;
  /** Aborted when the user interrupts; stages stop at the next unit. */
  readonly signal: AbortSignal;
}

/** Lets signals and timers in between two units of synchronous work, and stops it if the user interrupted. */
export async function breathe(signal: AbortSignal): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  signal.throwIfAborted();
}

export const silentProgress: Progress = { begin() {}, advance() {}, end() {}, warn() {} };
