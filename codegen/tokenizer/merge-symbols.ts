import { findMerge, type MergeTable, noMerge } from './merge-table.js';

/** A heap key is rank x positionRange + position: exact in a double for ranks below 2^24. */
const positionRange = 2 ** 29;

/**
 * Byte pair encoding of one piece: merges pairs of neighbours, the lowest rank first and the leftmost among
 * equals, until none is left. symbols[0, count) are token ids and are overwritten by the result; returns how
 * many are left.
 *
 * O(n log n): a heap holds every pair that can merge, keyed by rank and position. An entry whose pair has
 * changed in the meantime is recognised by its rank when it comes up.
 */
export function mergeSymbols(table: MergeTable, symbols: Int32Array, count: number): number {
  if (count < 2) return count;
  const next = new Int32Array(count);
  const previous = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    next[i] = i + 1;
    previous[i] = i - 1;
  }
  // Twice as many entries as symbols: every merge takes one out and puts at most two in.
  const heap = new MinHeap(2 * count);
  const offer = (at: number) => {
    if (at < 0 || next[at] >= count) return;
    const merge = findMerge(table, symbols[at], symbols[next[at]]);
    if (merge !== noMerge) heap.push(table.ranks[merge] * positionRange + at);
  };
  for (let i = 0; i < count - 1; i++) offer(i);
  while (heap.size > 0) {
    const key = heap.pop();
    const at = key % positionRange;
    if (symbols[at] < 0 || next[at] >= count) continue;
    const right = next[at];
    const merge = findMerge(table, symbols[at], symbols[right]);
    if (merge === noMerge || table.ranks[merge] !== (key - at) / positionRange) continue;
    symbols[at] = table.merged[merge];
    symbols[right] = -1;
    next[at] = next[right];
    if (next[at] < count) previous[next[at]] = at;
    offer(previous[at]);
    offer(at);
  }
  let kept = 0;
  for (let at = 0; at < count; at = next[at]) symbols[kept++] = symbols[at];
  return kept;
}

class MinHeap {
  size = 0;
  private readonly keys: Float64Array;

  constructor(capacity: number) {
    this.keys = new Float64Array(capacity);
  }

  push(key: number): void {
    let at = this.size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.keys[parent] <= key) break;
      this.keys[at] = this.keys[parent];
      at = parent;
    }
    this.keys[at] = key;
  }

  pop(): number {
    const top = this.keys[0];
    const key = this.keys[--this.size];
    let at = 0;
    for (let child = 1; child < this.size; child = 2 * at + 1) {
      if (child + 1 < this.size && this.keys[child + 1] < this.keys[child]) child++;
      if (this.keys[child] >= key) break;
      this.keys[at] = this.keys[child];
      at = child;
    }
    this.keys[at] = key;
    return top;
  }
}
