/**
 * The merges of byte pair encoding, by left token: those of token l stand at [rows[l], rows[l + 1]),
 * ascending by right token. The pair of lowest rank is merged first.
 */
export interface MergeTable {
  /** vocabSize + 1 entries. */
  readonly rows: Uint32Array;
  readonly rights: Uint32Array;
  readonly ranks: Uint32Array;
  /** The token a pair becomes. */
  readonly merged: Uint32Array;
}

export interface Merge {
  readonly left: number;
  readonly right: number;
  readonly rank: number;
  readonly merged: number;
}

/** What findMerge gives for a pair that never merges. */
export const noMerge = -1;

const idRange = 2 ** 20; // ids are below it (limits.vocabSize), so that a pair fits a double exactly

/** Of merges that name the same pair the last one counts, as in Hugging Face's implementation. */
export function buildMergeTable(vocabSize: number, merges: readonly Merge[]): MergeTable {
  const last = new Map<number, number>();
  for (const [i, { left, right }] of merges.entries()) last.set(left * idRange + right, i);
  const keys = Float64Array.from(last.keys()).sort();
  const table = {
    rows: new Uint32Array(vocabSize + 1),
    rights: new Uint32Array(keys.length),
    ranks: new Uint32Array(keys.length),
    merged: new Uint32Array(keys.length),
  };
  for (const [at, key] of keys.entries()) {
    const merge = merges[last.get(key)!];
    table.rows[merge.left + 1]++;
    table.rights[at] = merge.right;
    table.ranks[at] = merge.rank;
    table.merged[at] = merge.merged;
  }
  for (let id = 0; id < vocabSize; id++) table.rows[id + 1] += table.rows[id];
  return table;
}

/** Index of the merge of a pair, or noMerge. */
export function findMerge(table: MergeTable, left: number, right: number): number {
  let low = table.rows[left];
  let high = table.rows[left + 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (table.rights[middle] < right) low = middle + 1;
    else high = middle;
  }
  return low < table.rows[left + 1] && table.rights[low] === right ? low : noMerge;
}
