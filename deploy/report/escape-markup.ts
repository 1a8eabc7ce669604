/** What XML 1.0 does not have or want: control characters, halves of surrogate pairs, two that are none. */
const noCharacter = /(?![\t\n\r])[\p{Cc}\p{Cs}\ufffe\uffff]/gu;

/** For XML and HTML, in text and in attributes. What XML does not have is replaced. */
export function escapeMarkup(text: string): string {
  return text
    .replace(noCharacter, '\ufffd')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
