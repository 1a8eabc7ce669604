/** Ctrl-C and its relatives: the first asks the stages to stop and clean up, the second ends the process. */
import { EmbedError } from '../diagnostics/error.js';

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * 128 + SIGINT, by which shells tell an interrupted command; for the other signals too, as there is one code
 * for all.
 */
const INTERRUPTED = 130;

export class Interruption {
  private readonly controller = new AbortController();

  /** Aborted at the first signal; its reason is an EmbedError EM9002. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /**
   * From now on signals are heard; without this they end the process at once. `onFirst` is called at the first
   * of them, before the stages know.
   */
  watch(onFirst: () => void): void {
    for (const name of signals) {
      process.on(name, () => {
        // Handlers of 'exit' still run: they give the cursor back and remove temporary folders.
        if (this.signal.aborted) process.exit(INTERRUPTED);
        onFirst();
        this.stop(name);
      });
    }
  }

  /** Stops the work as a signal would. */
  stop(name: string): void {
    this.controller.abort(new EmbedError('EM9002', { where: 'embed-model', why: `stopped by ${name}` }));
  }
}
