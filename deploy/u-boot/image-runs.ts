/** The records of an image's golden runs, as they come over a serial line. */
import { EmbedError } from '../../codegen/diagnostics/error.js';
import { RecordParser } from '../records.js';
import { RunCollector, type RunOutcome } from '../run-outcome.js';
import type { SerialConsole } from '../serial/serial-console.js';
import type { Waiting } from './u-boot-console.js';

/** What U-Boot says of traps, and of images and commands that it does not take. */
const stops =
  /^(?:"Synchronous Abort"|Unhandled exception|resetting \.\.\.|Wrong Image|ERROR|Unknown command)|Bad (?:Data|Header) CRC/;

export class ImageRuns {
  readonly outcomes: RunOutcome[] = [];
  /** What the program says where it cannot compute; null where it did. */
  failure: string | null = null;
  private readonly parser = new RecordParser();
  private collector: RunCollector | null = null;

  /** Reads until the program says that it is done. Throws EM4014, EM4022 for records that were lost, EM4035, EM4038 after a trap. */
  static async read(console: SerialConsole, { timeoutMs, signal }: Waiting): Promise<ImageRuns> {
    const runs = new ImageRuns();
    const until = performance.now() + timeoutMs;
    for (;;) {
      const line = await console.until(
        (text) => (text.includes('\n') ? console.take(text.indexOf('\n') + 1) : null),
        until - performance.now(),
        signal,
      );
      if (line === null) {
        const why = `the program was not done after ${timeoutMs / 1000} s; where "go" hangs, set uboot.start to bootm`;
        throw new EmbedError('EM4035', { where: console.path, why });
      }
      if (runs.take(line)) return runs;
      if (stops.test(line.trim())) {
        throw new EmbedError('EM4038', { where: console.path, why: `the program stopped: ${line.trim()}` });
      }
      const lost = runs.outcomes.find(({ complete }) => !complete);
      if (lost !== undefined) {
        throw new EmbedError('EM4022', { where: console.path, why: 'records of a golden run were lost' });
      }
    }
  }

  /** Whether that was the last line. */
  private take(line: string): boolean {
    for (const event of this.parser.push(Buffer.from(line, 'latin1'))) {
      if (event.type === 'record' && event.record.kind === 'ready') this.collector = new RunCollector();
      this.collector?.add(event);
      if (event.type !== 'record') continue;
      if (event.record.kind === 'error') {
        this.failure = `${event.record.message}: ${event.record.status}`;
        return true;
      }
      if (event.record.kind === 'done' && this.collector !== null) {
        this.outcomes.push(this.collector.outcome());
        this.collector = null;
      }
    }
    return /^(?:passed|failed: logits)\r?$/m.test(line);
  }
}
