/** Loss against size of the variants that were tried. */
import type { SummaryVariant, VariantLoss } from '../../codegen/bundle/quantization-summary.js';
import {
  at,
  ChartFrame,
  hover,
  label,
  logTicks,
  palette,
  plain,
  type Range,
  rangeAround,
  ticks,
} from './chart-frame.js';

type Figure = (loss: VariantLoss | null) => number | null;
const divergence: Figure = (loss) => loss?.kld ?? null;
const growth: Figure = (loss) => loss?.lnRatio ?? null;

/** What tells most of a variant: the figure of the emitted C, else in float; null where none was measured. */
const measured = ({ emitted, float }: SummaryVariant, figureOf: Figure): number | null =>
  figureOf(emitted) ?? figureOf(float);

export const measuredKld = (variant: SummaryVariant): number | null => measured(variant, divergence);

/** A variant with its figure: a divergence, or ln of a perplexity ratio. */
interface Placed {
  readonly variant: SummaryVariant;
  readonly value: number;
}

/** Variants that no other one beats in both size and divergence, smallest first. Only what was measured alike is compared. */
export function paretoFront(variants: readonly SummaryVariant[], figureOf = divergence): Placed[] {
  const known = variants.filter((one) => measured(one, figureOf) !== null);
  const isEmitted = known.every(({ emitted }) => figureOf(emitted) !== null);
  const comparable = known.flatMap((variant) => {
    const value = figureOf(isEmitted ? variant.emitted : variant.float);
    return value === null ? [] : [{ variant, value }];
  });
  comparable.sort((a, b) => a.variant.bytes - b.variant.bytes || a.value - b.value);
  let best = Number.POSITIVE_INFINITY;
  return comparable.filter(({ value }) => {
    const isBetter = value < best;
    if (isBetter) best = value;
    return isBetter;
  });
}

/** How the y axis stands for a figure. */
interface Scale {
  readonly figureOf: Figure;
  readonly unit: string;
  /** From a figure to the axis; null for one that has no place on it. */
  readonly place: (value: number) => number | null;
  readonly range: (places: readonly number[]) => Range;
  readonly grid: (range: Range) => readonly (readonly [place: number, text: string])[];
  readonly said: (value: number) => string;
}

const percent = (lnRatio: number) => 100 * Math.expm1(lnRatio);

const growthScale: Scale = {
  figureOf: growth,
  unit: 'growth of perplexity on the text that plans are judged on',
  place: (lnRatio) => (Math.abs(lnRatio) < 20 ? percent(lnRatio) : null),
  range: (places) => rangeAround(places, 0.5),
  grid: (range) => ticks(range).map((value) => [value, `${plain(value)} %`]),
  said: (lnRatio) => `${plain(percent(lnRatio))} %`,
};

const divergenceScale: Scale = {
  figureOf: divergence,
  unit: 'KL divergence from float, nats a token',
  place: (kld) => (kld > 0 ? Math.log10(kld) : null),
  range: (places) => rangeAround(places, 0.6),
  grid: (range) => logTicks(range).map((value) => [Math.log10(value), plain(value)]),
  said: plain,
};

/**
 * Numbered as in the table of variants, from 1. Shows how perplexity grew, and the limit of it, where that was measured of all
 * variants; else how they diverge. Empty where nothing was measured.
 */
export function paretoChart(variants: readonly SummaryVariant[], maxLnRatio: number | null): string {
  const isPlaced = ({ figureOf, place }: Scale, one: SummaryVariant) => {
    const value = measured(one, figureOf);
    return value !== null && place(value) !== null;
  };
  const scale = variants.every((one) => isPlaced(growthScale, one)) ? growthScale : divergenceScale;
  const shown = variants.filter((one) => isPlaced(scale, one));
  if (shown.length === 0) return '';
  const limit = scale === growthScale && maxLnRatio !== null ? scale.place(maxLnRatio) : null;
  const values = shown.flatMap((one) => Object.values(dotsOf(one, scale)));
  const yRange = scale.range(limit === null ? values : [...values, limit]);
  const xRange = rangeAround(
    shown.map(({ bitsPerWeight }) => bitsPerWeight),
    1,
  );
  const frame = new ChartFrame(460, 222, 1, xRange, yRange);
  const parts = [
    ...scale.grid(yRange).map(([place, text]) => frame.grid(place, text)),
    ...ticks(xRange).map((value) => frame.tick(value, plain(value))),
    ...(limit === null ? [] : [limitLine(frame, limit)]),
    `<polyline points="${frontPath(shown, scale, frame)}" fill="none" stroke="${palette[0]}" stroke-width="1.5" stroke-opacity="0.6"/>`,
    ...shown.map((one) => variantDots(one, variants.indexOf(one) + 1, scale, frame)),
    frame.xTitle('bits a weight, scales included'),
    ...legend(frame, new Set(shown.flatMap((one) => Object.keys(dotsOf(one, scale))))),
  ];
  return frame.figure('Loss against size', `${scale.unit}; smaller is better`, parts);
}

function limitLine(frame: ChartFrame, limit: number): string {
  const y = at(frame.y(limit));
  return `<line x1="${frame.left}" x2="${frame.right}" y1="${y}" y2="${y}" stroke="${palette[5]}" stroke-dasharray="4 3"/>${label(frame.right, frame.y(limit) - 5, 'axis end', 'limit')}`;
}

/** A staircase: between two variants of the front, the smaller one is the best there is. */
function frontPath(
  variants: readonly SummaryVariant[],
  { figureOf, place }: Scale,
  frame: ChartFrame,
): string {
  const front = paretoFront(variants, figureOf).flatMap(({ variant, value }) => {
    const y = place(value);
    return y === null ? [] : [{ bits: variant.bitsPerWeight, y }];
  });
  const point = (bits: number, y: number) => `${at(frame.x(bits))},${at(frame.y(y))}`;
  const corners = front.flatMap(({ bits, y }, i) => {
    const before = front[i - 1];
    return before === undefined ? [point(bits, y)] : [point(bits, before.y), point(bits, y)];
  });
  return corners.join(' ');
}

const shapes = {
  predicted: `r="3.8" fill="none" stroke="${palette[4]}" stroke-width="1.6"`,
  float: `r="4.2" fill="${palette[0]}"`,
  emitted: `r="4.2" fill="${palette[1]}"`,
  chosen: `r="8" fill="none" stroke="${palette[5]}" stroke-width="2"`,
} as const;
type Shape = keyof typeof shapes;
const texts: Readonly<Record<Shape, string>> = {
  float: 'in float',
  emitted: 'emitted C',
  predicted: 'predicted',
  chosen: 'chosen',
};

/**
 * What is known of a variant, by its place on the axis. Of the loss nothing is predicted, and what little text says of it in float is
 * left out beside the emitted C.
 */
function dotsOf(variant: SummaryVariant, { figureOf, place }: Scale): Partial<Record<Shape, number>> {
  const { predictedKld, float, emitted, chosen } = variant;
  const known: Record<Shape, number | null> = {
    predicted: figureOf === divergence ? predictedKld : null,
    float: figureOf === growth && figureOf(emitted) !== null ? null : figureOf(float),
    emitted: figureOf(emitted),
    chosen: chosen ? measured(variant, figureOf) : null,
  };
  const placed = Object.entries(known).map(([shape, value]) => [shape, value === null ? null : place(value)]);
  return Object.fromEntries(placed.filter(([, y]) => y !== null));
}

function variantDots(variant: SummaryVariant, index: number, scale: Scale, frame: ChartFrame): string {
  const { name, method, bitsPerWeight, bytes, predictedKld, float, emitted } = variant;
  const { figureOf, place, said } = scale;
  const cx = frame.x(bitsPerWeight);
  const dots = Object.entries(dotsOf(variant, scale)).map(
    ([shape, y]) => `<circle cx="${at(cx)}" cy="${at(frame.y(y))}" ${shapes[shape as Shape]}/>`,
  );
  const figures = [
    ...(figureOf === divergence ? [[texts.predicted, predictedKld] as const] : []),
    [texts.float, figureOf(float)] as const,
    [texts.emitted, figureOf(emitted)] as const,
  ].flatMap(([text, value]) => (value === null ? [] : [`${text} ${said(value)}`]));
  const title = `${index}. ${name}, ${method}: ${bitsPerWeight.toFixed(3)} bits a weight, ${bytes} bytes`;
  const y = frame.y(place(measured(variant, figureOf)!)!) - 5;
  return `<g>${hover([title, ...figures].join('; '))}${dots.join('')}${label(cx + 11, y, 'axis', String(index))}</g>`;
}

function legend(frame: ChartFrame, used: ReadonlySet<string>): string[] {
  const entries = Object.entries(texts).filter(([shape]) => used.has(shape));
  return entries.map(([shape, text], i) => {
    const { x, y } = frame.legendAt(i, 4);
    const drawn = shapes[shape as Shape].replace('r="8"', 'r="5"');
    return `<circle cx="${at(x + 5)}" cy="${at(y - 4)}" ${drawn}/>${label(x + 15, y, 'axis', text)}`;
  });
}
