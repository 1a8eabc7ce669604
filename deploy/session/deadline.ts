/** A time limit and a signal, raced against work that cannot be stopped itself. */
export class Deadline {
  private readonly timer: NodeJS.Timeout;
  private isOver = false;
  private readonly listeners = new Set<(late: boolean) => void>();
  private readonly onAbort = () => this.fire(false);

  constructor(
    readonly timeoutMs: number,
    private readonly signal?: AbortSignal,
  ) {
    this.timer = setTimeout(() => this.fire(true), timeoutMs);
    signal?.addEventListener('abort', this.onAbort, { once: true });
  }

  /** Whether work should stop. */
  get over(): boolean {
    return this.isOver || this.signal?.aborted === true;
  }

  /** `work`, or `late()` thrown when the time is over, or the signal's reason when it aborts. */
  race<T>(work: Promise<T>, late: () => Error): Promise<T> {
    return new Promise((resolve, reject) => {
      const onOver = (isLate: boolean) => reject(isLate ? late() : this.signal?.reason);
      work.then(resolve, reject).finally(() => this.listeners.delete(onOver));
      if (this.signal?.aborted) onOver(false);
      else if (this.isOver) onOver(true);
      else this.listeners.add(onOver);
    });
  }

  clear(): void {
    clearTimeout(this.timer);
    this.signal?.removeEventListener('abort', this.onAbort);
  }

  private fire(late: boolean): void {
    if (late) this.isOver = true;
    for (const listener of this.listeners) listener(late);
  }
}
