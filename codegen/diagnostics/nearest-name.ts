/**
 * The name a mistyped word most likely meant: the smallest Damerau-Levenshtein distance (insertions,
 * deletions, substitutions and swaps of neighbours, optimal string alignment), ignoring case, if no more than
 * a third of the longer word is wrong (but two letters always may be). The first of equally near names wins;
 * undefined where none is near.
 */
export function nearestName(word: string, names: readonly string[]): string | undefined {
  // No name is this long; a word that is would only cost time.
  if (word.length > 100) {
    return undefined;
  }
  let nearest: string | undefined;
  let smallest = Number.POSITIVE_INFINITY;
  for (const name of names) {
    const distance = editDistance(word.toLowerCase(), name.toLowerCase());
    const limit = Math.max(2, Math.floor(Math.max(word.length, name.length) / 3));
    if (distance < smallest && distance <= limit && distance < name.length) {
      smallest = distance;
      nearest = name;
    }
  }
  return nearest;
}

/** Optimal string alignment distance, three rows of the table at a time. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = last[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      row[j] = Math.min(last[j] + 1, row[j - 1] + 1, substitution);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        row[j] = Math.min(row[j], beforeLast[j - 2] + 1);
      }
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length];
}
