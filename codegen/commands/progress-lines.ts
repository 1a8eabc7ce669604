/**
 * Progress where there is no terminal: a line for each finished stage, and now and then one for a long stage.
 */
import { printable } from '../diagnostics/printable.js';
import type { TextSink } from './output.js';
import type { ShownProgress } from './progress.js';
import { formatDuration } from './quantities.js';
import { StageMeter } from './stage-meter.js';

const lineEveryMs = 5000;

export class ProgressLines implements ShownProgress {
  private stage: StageMeter | null = null;
  private writtenMs = 0;

  constructor(
    private readonly sink: TextSink,
    private readonly now: () => number = () => performance.now(),
  ) {}

  begin(stage: string, total: number, unit: string): void {
    this.writtenMs = this.now();
    this.stage = new StageMeter(printable(stage), total, unit, this.writtenMs);
  }

  advance(units: number): void {
    const { stage } = this;
    if (stage === null) return;
    stage.advance(units);
    const now = this.now();
    if (now - this.writtenMs < lineEveryMs || stage.fraction === 1) return;
    this.writtenMs = now;
    const details = [stage.share, stage.rate(now), stage.left(now)].filter((detail) => detail !== '');
    this.sink.write(`${stage.name}: ${details.join(', ')}\n`);
  }

  end(note?: string): void {
    const { stage } = this;
    if (stage === null) return;
    const took = formatDuration(stage.seconds(this.now()));
    this.sink.write(`${stage.name}: ${printable(note ?? stage.amount)} (${took})\n`);
    this.stage = null;
  }

  warn(message: string): void {
    this.say(`warning: ${printable(message)}`);
  }

  say(line: string): void {
    this.sink.write(`${line}\n`);
  }

  close(): void {
    this.stage = null;
  }
}
