/**
 * Text from untrusted files, for a terminal: control characters but line feeds and tabs are shown, not sent.
 */
export function printable(text: string): string {
  return text.replace(/(?![\n\t])\p{Cc}/gu, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
