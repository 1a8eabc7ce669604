/** Loss against size of the variants that were tried. */
import type { SummaryVariant } from '../../codegen/bundle/quantization-summary.js';
import { at, ChartFrame, hover, label, logTicks, palette, plain, rangeAround, ticks } from './chart-frame.js';

/** The divergence that tells most of a variant: that of the emitted C, else in float; null where none was measured. */
export const measuredKld = ({ emitted, float }: SummaryVariant): number | null =>
  emitted?.kld ?? float?.kld ?? null;

/** Variants that no other one beats in both size and divergence, smallest first. Only what was measured alike is compared. */
export function paretoFront(
  variants: readonly SummaryVariant[],
): { readonly variant: SummaryVariant; readonly kld: number }[] {
  const measured = variants.filter((one) => measuredKld(one) !== null);
  const isEmitted = measured.every(({ emitted }) => typeof emitted?.kld === 'number');
  const comparable = measured.flatMap((variant) => {
    const kld = (isEmitted ? variant.emitted : variant.float)?.kld;
    return kld === undefined || kld === null ? [] : [{ variant, kld }];
  });
  comparable.sort((a, b) => a.variant.bytes - b.variant.bytes || a.kld - b.kld);
  let best = Number.POSITIVE_INFINITY;
  return comparable.filter(({ kld }) => {
    const isBetter = kld < best;
    if (isBetter) best = kld;
    return isBetter;
  });
}

/** Numbered as in the table of variants, from 1. Empty where nothing was measured. */
export function paretoChart(variants: readonly SummaryVariant[]): string {
  const shown = variants.filter((one) => (measuredKld(one) ?? 0) > 0);
  if (shown.length === 0) return '';
  const divergences = shown.flatMap(({ predictedKld, float, emitted }) =>
    [predictedKld, float?.kld, emitted?.kld].flatMap((kld) => (isShown(kld) ? [Math.log10(kld)] : [])),
  );
  const yRange = rangeAround(divergences, 0.6);
  const xRange = rangeAround(
    shown.map(({ bitsPerWeight }) => bitsPerWeight),
    1,
  );
  const frame = new ChartFrame(460, 222, 1, xRange, yRange);
  const parts = [
    ...logTicks(yRange).map((value) => frame.grid(Math.log10(value), plain(value))),
    ...ticks(xRange).map((value) => frame.tick(value, plain(value))),
    `<polyline points="${frontPath(shown, frame)}" fill="none" stroke="${palette[0]}" stroke-width="1.5" stroke-opacity="0.6"/>`,
    ...shown.map((one) => variantDots(one, variants.indexOf(one) + 1, frame)),
    frame.xTitle('bits a weight, scales included'),
    ...legend(frame),
  ];
  return frame.figure(
    'Loss against size',
    'KL divergence from float, nats a token; smaller is better',
    parts,
  );
}

const isShown = (kld: number | null | undefined): kld is number => typeof kld === 'number' && kld > 0;

/** A staircase: between two variants of the front, the smaller one is the best there is. */
function frontPath(variants: readonly SummaryVariant[], frame: ChartFrame): string {
  const front = paretoFront(variants).filter(({ kld }) => isShown(kld));
  const place = (bits: number, kld: number) => `${at(frame.x(bits))},${at(frame.y(Math.log10(kld)))}`;
  const corners = front.flatMap(({ variant, kld }, i) => {
    const before = front[i - 1];
    const here = place(variant.bitsPerWeight, kld);
    return before === undefined ? [here] : [place(variant.bitsPerWeight, before.kld), here];
  });
  return corners.join(' ');
}

const shapes = {
  predicted: `r="3.8" fill="none" stroke="${palette[4]}" stroke-width="1.6"`,
  float: `r="4.2" fill="${palette[0]}"`,
  emitted: `r="4.2" fill="${palette[1]}"`,
  chosen: `r="8" fill="none" stroke="${palette[5]}" stroke-width="2"`,
} as const;

function variantDots(variant: SummaryVariant, index: number, frame: ChartFrame): string {
  const { name, method, bitsPerWeight, bytes, predictedKld, float, emitted, chosen } = variant;
  const cx = frame.x(bitsPerWeight);
  const dot = (kld: number | null | undefined, shape: keyof typeof shapes) =>
    isShown(kld) ? `<circle cx="${at(cx)}" cy="${at(frame.y(Math.log10(kld)))}" ${shapes[shape]}/>` : '';
  const said = [
    `${index}. ${name}, ${method}: ${bitsPerWeight.toFixed(3)} bits a weight, ${bytes} bytes`,
    ...(predictedKld === null ? [] : [`predicted ${plain(predictedKld)}`]),
    ...(typeof float?.kld === 'number' ? [`in float ${plain(float.kld)}`] : []),
    ...(typeof emitted?.kld === 'number' ? [`emitted C ${plain(emitted.kld)}`] : []),
  ].join('; ');
  const kld = measuredKld(variant);
  return `<g>${hover(said)}${[
    dot(predictedKld, 'predicted'),
    dot(float?.kld, 'float'),
    dot(emitted?.kld, 'emitted'),
    chosen ? dot(kld, 'chosen') : '',
    label(cx + 11, frame.y(Math.log10(kld!)) - 5, 'axis', String(index)),
  ].join('')}</g>`;
}

function legend(frame: ChartFrame): string[] {
  const entries = {
    float: 'in float',
    emitted: 'emitted C',
    predicted: 'predicted',
    chosen: 'chosen',
  } as const;
  return Object.entries(entries).map(([shape, text], i) => {
    const { x, y } = frame.legendAt(i, 4);
    const drawn = shapes[shape as keyof typeof shapes].replace('r="8"', 'r="5"');
    return `<circle cx="${at(x + 5)}" cy="${at(y - 4)}" ${drawn}/>${label(x + 15, y, 'axis', text)}`;
  });
}
