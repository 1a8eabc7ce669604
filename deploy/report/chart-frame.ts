/** The frame of charts whose x and y are numbers: sizes, scales, ticks, text. SVG text: nothing is loaded, nothing runs. */
import { escapeMarkup } from './escape-markup.js';

/** Colours that both themes of the page show. */
export const palette = [
  '#2b6cb0',
  '#c2571a',
  '#2f855a',
  '#8b3fa0',
  '#b7791f',
  '#c53054',
  '#64748b',
  '#0d8a8a',
] as const;

export type Range = readonly [low: number, high: number];

/** Where the axes of a chart lie in its drawing; below the x axis is room for `legendRows` rows of a legend. */
export class ChartFrame {
  readonly left = 58;
  readonly top = 14;
  readonly right: number;
  readonly bottom: number;
  readonly height: number;

  constructor(
    readonly width: number,
    plotHeight: number,
    legendRows: number,
    readonly xRange: Range,
    readonly yRange: Range,
  ) {
    this.right = width - 12;
    this.bottom = this.top + plotHeight;
    this.height = this.bottom + 44 + legendRows * 17;
  }

  x(value: number): number {
    const [low, high] = this.xRange;
    return this.left + ((value - low) / (high - low)) * (this.right - this.left);
  }

  y(value: number): number {
    const [low, high] = this.yRange;
    return this.bottom - ((value - low) / (high - low)) * (this.bottom - this.top);
  }

  /** A line across at `y`, with what it stands for. */
  grid(value: number, text: string): string {
    const y = this.y(value);
    return `<line x1="${this.left}" x2="${this.right}" y1="${at(y)}" y2="${at(y)}" class="grid"/>${label(this.left - 6, y + 4, 'axis end', text)}`;
  }

  tick(value: number, text: string): string {
    return label(this.x(value), this.bottom + 16, 'axis middle', text);
  }

  xTitle(text: string): string {
    return label((this.left + this.right) / 2, this.bottom + 34, 'axis middle', text);
  }

  /** Where entry `index` of a legend stands that has `columns` in a row. */
  legendAt(index: number, columns: number): { x: number; y: number } {
    const x = this.left + (index % columns) * ((this.right - this.left) / columns);
    return { x, y: this.bottom + 54 + Math.floor(index / columns) * 17 };
  }

  figure(title: string, unit: string, parts: readonly string[], isWide = false): string {
    return figure(title, unit, [this.width, this.height], parts, isWide);
  }
}

export function figure(
  title: string,
  unit: string,
  [width, height]: readonly [number, number],
  parts: readonly string[],
  isWide = false,
): string {
  return `<figure${isWide ? ' class="full"' : ''}><figcaption>${escapeMarkup(title)} <span class="unit">${escapeMarkup(unit)}</span></figcaption>
<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeMarkup(title)}">
${parts.join('\n')}
</svg></figure>`;
}

/** A coordinate. */
export const at = (value: number): string => value.toFixed(1);

export const label = (x: number, y: number, kind: string, text: string): string =>
  `<text x="${at(x)}" y="${at(y)}" class="${kind}">${escapeMarkup(text)}</text>`;

/** What a pointer over the element around it shows. */
export const hover = (text: string): string => `<title>${escapeMarkup(text)}</title>`;

export const plain = (value: number, digits = 3): string => String(Number(value.toPrecision(digits)));

export const clipped = (text: string, most: number): string =>
  text.length > most ? `${text.slice(0, most - 1)}…` : text;

/** A range around all values, at least `least` wide. There is at least one value, and all are finite. */
export function rangeAround(values: readonly number[], least: number): Range {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const margin = Math.max((high - low) * 0.08, (least - (high - low)) / 2);
  return [low - margin, high + margin];
}

/** Round numbers inside a range, some five of them. */
export function ticks([low, high]: Range): number[] {
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power;
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => (first + i) * step);
}

/** Round numbers whose decimal logarithms lie inside a range: more digits of a decade where there are few decades. */
export function logTicks([low, high]: Range): number[] {
  const digits = high - low > 3 ? [1] : high - low > 1.2 ? [1, 2, 5] : [1, 1.5, 2, 3, 5, 7];
  const first = Math.floor(low);
  const decades = Array.from({ length: Math.ceil(high) - first }, (_, i) => first + i);
  return decades
    .flatMap((power) => digits.map((digit) => Number(`${digit}e${power}`)))
    .filter((value) => Math.log10(value) >= low && Math.log10(value) <= high);
}
