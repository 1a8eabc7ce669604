/** Charts of a run and of the runs before it, as SVG text: nothing is loaded, nothing runs. */
import { at, ChartFrame, figure, hover, label, palette, plain, type Range, ticks } from './chart-frame.js';

const width = 460;
const plotHeight = 150;

/** A line of a chart: its values, one after the other. */
export interface Line {
  /** Null: it is one of many of its kind, and has no place in the legend. */
  readonly name: string | null;
  readonly points: readonly number[];
}

/** From 0 to what is above all values. */
const upTo = (most: number): Range => [0, most > 0 ? most * 1.08 : 1];

const wholeTicks = (range: Range) => ticks(range).filter((tick) => Number.isInteger(tick));

const colorOf = (index: number) => palette[index % palette.length];

/** x is the index, from 1 on. Empty where there are no two points. */
export function lineChart(title: string, lines: readonly Line[], xTitle: string, unit: string): string {
  const shown = lines.filter(({ points }) => points.length >= 2);
  if (shown.length === 0) return '';
  const longest = Math.max(...shown.map(({ points }) => points.length));
  const yRange = upTo(shown.reduce((most, { points }) => Math.max(most, ...points), 0));
  const hasLegend = shown.some(({ name }) => name !== null);
  const frame = new ChartFrame(width, plotHeight, hasLegend ? 1 : 0, [1, longest], yRange);
  const strokes = shown.map(({ name, points }, index) => {
    const path = points.map((value, i) => `${at(frame.x(i + 1))},${at(frame.y(value))}`).join(' ');
    const line = `<polyline points="${path}" fill="none" stroke="${colorOf(index)}" stroke-width="1.6"/>`;
    if (name === null) return line;
    const { x, y } = frame.legendAt(index, 3);
    const mark = `<rect x="${at(x)}" y="${at(y - 9)}" width="11" height="11" fill="${colorOf(index)}"/>`;
    return `${line}${mark}${label(x + 17, y, 'label', name)}`;
  });
  const steps = wholeTicks([1, longest]).filter((tick) => tick > longest * 0.06);
  return frame.figure(title, unit, [
    ...ticks(yRange).map((tick) => frame.grid(tick, plain(tick, 6))),
    ...[1, ...steps.filter((tick) => tick !== 1)].map((tick) => frame.tick(tick, String(tick))),
    frame.xTitle(xTitle),
    ...strokes,
  ]);
}

/**
 * How often values of a range occur. A few that lie far above the others are counted by the last bar, which says so: else all of the
 * others would be one bar. Empty without values.
 */
export function histogram(title: string, values: readonly number[], xTitle: string, unit: string): string {
  if (values.length < 2) return '';
  const ascending = [...values].sort((a, b) => a - b);
  const [low, high] = [ascending[0], ascending[ascending.length - 1]];
  const usual = ascending[Math.floor((ascending.length - 1) * 0.95)];
  const hasRest = high - low > 3 * (usual - low) && usual > low;
  const end = hasRest ? usual : high > low ? high : low * 1.01 + 1e-6;
  const bins = Math.min(24, Math.max(5, Math.ceil(Math.sqrt(values.length))));
  const binWidth = (end - low) / bins;
  const counts = new Array<number>(hasRest ? bins + 2 : bins).fill(0);
  for (const value of values) {
    counts[value > end ? bins + 1 : Math.min(bins - 1, Math.floor((value - low) / binWidth))] += 1;
  }
  const edge = (index: number) => low + index * binWidth;
  const yRange = upTo(counts.reduce((most, count) => Math.max(most, count), 0));
  const frame = new ChartFrame(width, plotHeight, 0, [low, edge(counts.length)], yRange);
  const bars = counts.map((count, index) => {
    const [x, y] = [frame.x(edge(index)), frame.y(count)];
    const text = index > bins ? `above ${plain(end)}` : `${plain(edge(index))} to ${plain(edge(index + 1))}`;
    const size = `width="${at(frame.x(edge(index + 1)) - x - 1.5)}" height="${at(frame.bottom - y)}"`;
    const color = index > bins ? colorOf(1) : colorOf(0);
    return `<rect x="${at(x + 0.75)}" y="${at(y)}" ${size} fill="${color}">${hover(`${text} ${xTitle}: ${count}`)}</rect>`;
  });
  const rest = `above ${plain(end)}: ${counts[bins + 1]} of ${values.length}, up to ${plain(high)}`;
  return frame.figure(title, unit, [
    ...wholeTicks(yRange).map((tick) => frame.grid(tick, String(tick))),
    ...ticks([low, end]).map((tick) => frame.tick(tick, plain(tick))),
    frame.xTitle(hasRest ? `${xTitle}; ${rest}` : xTitle),
    ...bars,
  ]);
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
    const color = colorOf(index);
    const bar = `<rect x="${at(x)}" y="16" width="${at(piece)}" height="34" fill="${color}"/>`;
    const mark = `<rect x="8" y="${y}" width="11" height="11" fill="${color}"/>`;
    x += piece;
    return `${bar}${mark}${label(26, y + 10, 'label', `${name}: ${plain(value)} ${unit}`)}`;
  });
  return figure(title, `${plain(sum)} ${unit}`, [width, 76 + parts.length * 20], pieces);
}
