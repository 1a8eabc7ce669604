/** How large values get, and how often: what a fixed scale is chosen by. */

const BINS = 2048;

/**
 * Counts magnitudes in 2048 bins of equal width from 0 on. Where a value is beyond the last one, bins are merged in pairs until it is
 * not: text may come in any order, and is seen once.
 */
export class MagnitudeHistogram {
  readonly counts = new Float64Array(BINS);
  /** Width of a bin; 0 as long as all values were 0. */
  width = 0;
  /** Largest magnitude. */
  max = 0;
  total = 0;

  add(values: Float32Array): void {
    for (const value of values) {
      const magnitude = Math.abs(value);
      if (magnitude > this.max) {
        this.max = magnitude;
        this.#reach(magnitude);
      }
      this.counts[this.#binOf(magnitude)]!++;
      this.total++;
    }
  }

  #binOf(magnitude: number): number {
    return this.width === 0 ? 0 : Math.min(BINS - 1, Math.floor(magnitude / this.width));
  }

  #reach(magnitude: number): void {
    if (this.width === 0) this.width = (2 * magnitude) / BINS; // zeros so far, which are in bin 0 of any width
    while (magnitude >= BINS * this.width) {
      for (let i = 0; i < BINS / 2; i++) this.counts[i] = this.counts[2 * i]! + this.counts[2 * i + 1]!;
      this.counts.fill(0, BINS / 2);
      this.width *= 2;
    }
  }

  /** Bins up to that of the largest magnitude. */
  get used(): number {
    return this.#binOf(this.max) + 1;
  }
}
