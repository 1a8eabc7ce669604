/**
 * Tables for a terminal: columns padded to their widest cell, two spaces between, nothing at the ends of
 * lines.
 */

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
}

export function textTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const lines = [columns.map(({ title }) => title), ...rows];
  const widths = columns.map((_, c) => Math.max(...lines.map((line) => line[c].length)));
  const cell = (text: string, c: number) =>
    columns[c].align === 'right' ? text.padStart(widths[c]) : text.padEnd(widths[c]);
  return lines.map((line) => line.map(cell).join('  ').trimEnd()).join('\n');
}

/** Names on the left, what belongs to them on the right, line by line. Rows that are null are left out. */
export function fieldList(rows: readonly (readonly [string, string] | null)[]): string {
  const shown = rows.filter((row) => row !== null);
  const width = Math.max(0, ...shown.map(([name]) => name.length));
  return shown
    .map(([name, text]) => `${name.padEnd(width)}  ${text.replaceAll('\n', `\n${' '.repeat(width + 2)}`)}`)
    .join('\n');
}
