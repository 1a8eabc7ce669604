/** Puts what was measured between two marks of a document and leaves the rest of it alone. */

export const measuredBegin = '<!-- measured: npm run bench -- --write-docs -->';
export const measuredEnd = '<!-- end of what was measured -->';

/** Throws where the document does not have both marks, one after the other. */
export function replaceMeasured(document: string, measured: string): string {
  const begin = document.indexOf(measuredBegin);
  const end = document.indexOf(measuredEnd);
  if (begin < 0 || end < begin) throw new Error(`the document lacks ${measuredBegin} and ${measuredEnd}`);
  const before = document.slice(0, begin + measuredBegin.length);
  return `${before}\n\n${measured.trim()}\n\n${document.slice(end)}`;
}
