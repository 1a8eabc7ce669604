/** Reading the compact lists of unicode-data.ts: words of base-36 numbers between spaces. */

/** Words split into their numbers; a leading ! is left out of the numbers and told apart. */
export function parseWords(text: string): { readonly marked: boolean; readonly fields: number[] }[] {
  return text
    .trim()
    .split(/\s+/)
    .map((word) => {
      const marked = word.startsWith('!');
      const fields = (marked ? word.slice(1) : word).split('.').map((field) => Number.parseInt(field, 36));
      return { marked, fields };
    });
}

/** Ranges gap.count or gap.count.value as code points; the value of a range without one is 1. */
export function* parseRanges(text: string): Generator<{ first: number; count: number; value: number }> {
  let end = 0;
  for (const { fields } of parseWords(text)) {
    const [gap, count, value = 1] = fields;
    const first = end + gap;
    yield { first, count, value };
    end = first + count;
  }
}
