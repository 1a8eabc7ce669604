/** Charts as SVG text: nothing is loaded, nothing runs. */
import { escapeMarkup } from './escape-markup.js';

const width = 460;
const height = 200;
const left = 58;
const bottom = 34;
const top = 10;

const colors = ['#2563a8', '#c2571a', '#2f855a', '#8b3fa0', '#b7791f', '#c53054'];

/** Axis numbers: short, exact enough to read. */
const number = (value: number) =>
  Math.abs(value) >= 1000 ? value.toFixed(0) : String(Number(value.toPrecision(3)));

function frame(title: string, parts: readonly string[], xLabel: string, most: number, unit: string): string {
  const lines = [0, 0.5, 1].map((share) => {
    const y = top + (height - top - bottom) * (1 - share);
    return `<line x1="${left}" x2="${width - 8}" y1="${y}" y2="${y}" class="grid"/><text x="${left - 6}" y="${y + 4}" class="axis end">${number(most * share)}</text>`;
  });
  return `<figure><figcaption>${escapeMarkup(title)} <span class="unit">${escapeMarkup(unit)}</span></figcaption>
<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeMarkup(title)}">
${lines.join('\n')}
${parts.join('\n')}
<text x="${(left + width) / 2}" y="${height - 6}" class="axis middle">${escapeMarkup(xLabel)}</text>
</svg></figure>`;
}

const xAt = (share: number) => left + (width - left - 8) * share;
const yAt = (share: number) => top + (height - top - bottom) * (1 - share);

/** A line for every list; x is the index. Empty where there are no two points. */
export function lineChart(
  title: string,
  series: readonly (readonly number[])[],
  xLabel: string,
  unit: string,
): string {
  const shown = series.filter((points) => points.length >= 2);
  if (shown.length === 0) return '';
  const most = Math.max(...shown.flat()) * 1.05 || 1;
  const lines = shown.map((points, index) => {
    const at = points.map(
      (value, i) => `${xAt(i / (points.length - 1)).toFixed(1)},${yAt(value / most).toFixed(1)}`,
    );
    return `<polyline points="${at.join(' ')}" fill="none" stroke="${colors[index % colors.length]}" stroke-width="1.6"/>`;
  });
  const longest = Math.max(...shown.map(({ length }) => length));
  const ends = `<text x="${left}" y="${height - 20}" class="axis">1</text><text x="${width - 8}" y="${height - 20}" class="axis end">${longest}</text>`;
  return frame(title, [...lines, ends], xLabel, most, unit);
}

/** How often values of a range occur. Empty without values. */
export function histogram(title: string, values: readonly number[], unit: string): string {
  if (values.length < 2) return '';
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const bins = Math.min(24, Math.max(5, Math.ceil(Math.sqrt(values.length))));
  const counts = new Array<number>(bins).fill(0);
  for (const value of values) {
    counts[high === low ? 0 : Math.min(bins - 1, Math.floor(((value - low) / (high - low)) * bins))] += 1;
  }
  const most = Math.max(...counts);
  const bars = counts.map((count, index) => {
    const [x, y] = [xAt(index / bins), yAt(count / most)];
    return `<rect x="${(x + 1).toFixed(1)}" y="${y.toFixed(1)}" width="${(xAt(1 / bins) - left - 2).toFixed(1)}" height="${(yAt(0) - y).toFixed(1)}" fill="${colors[0]}"/>`;
  });
  const ends = `<text x="${left}" y="${height - 20}" class="axis">${number(low)}</text><text x="${width - 8}" y="${height - 20}" class="axis end">${number(high)}</text>`;
  return frame(title, [...bars, ends], unit, most, 'tokens');
}

/** One bar in parts, with what they are below it. */
export function stackedBar(
  title: string,
  parts: readonly (readonly [string, number])[],
  unit: string,
): string {
  const sum = parts.reduce((total, [, value]) => total + value, 0);
  if (sum === 0) return '';
  let x = 8;
  const pieces = parts.map(([name, value], index) => {
    const piece = (value / sum) * (width - 16);
    const y = 70 + index * 20;
    const color = colors[index % colors.length];
    const text = `<rect x="${x.toFixed(1)}" y="16" width="${piece.toFixed(1)}" height="34" fill="${color}"/><rect x="8" y="${y}" width="11" height="11" fill="${color}"/><text x="26" y="${y + 10}" class="label">${escapeMarkup(name)}: ${number(value)} ${unit}</text>`;
    x += piece;
    return text;
  });
  const tall = 76 + parts.length * 20;
  return `<figure><figcaption>${escapeMarkup(title)} <span class="unit">${number(sum)} ${unit}</span></figcaption>
<svg viewBox="0 0 ${width} ${tall}" role="img" aria-label="${escapeMarkup(title)}">
${pieces.join('\n')}
</svg></figure>`;
}
