/** How far a stage has come, how fast it goes and how long it will take. */
import { formatAmount, formatDuration, formatRate } from './quantities.js';

export class StageMeter {
  private done = 0;

  /** `total` is 0 where nobody knows it. Times are in milliseconds from any origin. */
  constructor(
    readonly name: string,
    private readonly total: number,
    private readonly unit: string,
    private readonly startedMs: number,
  ) {}

  advance(units: number): void {
    this.done += units;
  }

  /** In [0, 1]; null where the total is unknown. */
  get fraction(): number | null {
    return this.total > 0 ? Math.min(1, this.done / this.total) : null;
  }

  /** "63 %" or, without a total, "412 tokens". */
  get share(): string {
    const { fraction } = this;
    return fraction === null ? formatAmount(this.done, this.unit) : `${Math.floor(100 * fraction)} %`;
  }

  /** "812 tokens/s" over the whole stage so far; empty until something is done. */
  rate(nowMs: number): string {
    const seconds = this.seconds(nowMs);
    return this.done === 0 || seconds <= 0 ? '' : formatRate(this.done / seconds, this.unit);
  }

  /** "12 s left" at the rate so far; empty where it cannot be told. */
  left(nowMs: number): string {
    const { fraction } = this;
    if (fraction === null || fraction === 0 || fraction === 1) return '';
    const seconds = (this.seconds(nowMs) * (1 - fraction)) / fraction;
    return `${formatDuration(Math.max(1, Math.round(seconds))).replace(/\.0+ s$/, ' s')} left`;
  }

  /** "4,096 tokens", what a finished stage did. */
  get amount(): string {
    return formatAmount(this.done, this.unit);
  }

  seconds(nowMs: number): number {
    return (nowMs - this.startedMs) / 1000;
  }
}
