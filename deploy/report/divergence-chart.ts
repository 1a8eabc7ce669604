/** How the divergence of a quantized model is spread over the tokens of a text. */
import type { LogHistogram } from '../../codegen/evaluate/log-histogram.js';
import type { ValidationReport } from '../../codegen/evaluate/validation-report.js';
import { at, ChartFrame, hover, label, palette, plain, ticks } from './chart-frame.js';

/** Empty for a report without a histogram, as earlier versions wrote it. */
export function divergenceChart({ kld }: ValidationReport): string {
  const histogram: LogHistogram | undefined = kld.histogram;
  const first = histogram?.counts.findIndex((count) => count > 0) ?? -1;
  if (histogram === undefined || first < 0) return '';
  const { firstDecade, binsPerDecade, counts, below, above } = histogram;
  const end = counts.findLastIndex((count) => count > 0) + 1;
  const decade = (bin: number) => firstDecade + bin / binsPerDecade;
  const total = counts.reduce((sum, count) => sum + count, below + above);
  const xRange = [decade(first) - 0.1, decade(end) + 0.1] as const;
  const yRange = [0, (Math.max(...counts) / total) * 1.08] as const;
  const frame = new ChartFrame(460, 222, 2, xRange, yRange);
  const bars = counts.slice(first, end).map((count, i) => {
    const [from, to] = [decade(first + i), decade(first + i + 1)];
    const said = `${plain(10 ** from)} to ${plain(10 ** to)} nats: ${count} of ${total} tokens`;
    const [left, y] = [frame.x(from), frame.y(count / total)];
    return `<rect x="${at(left + 0.5)}" y="${at(y)}" width="${at(Math.max(0.5, frame.x(to) - left - 1))}" height="${at(frame.bottom - y)}" fill="${palette[0]}" fill-opacity="0.75">${hover(said)}</rect>`;
  });
  const powers = Array.from({ length: Math.ceil(xRange[1]) - Math.ceil(xRange[0]) }, (_, i) => {
    const power = Math.ceil(xRange[0]) + i;
    return frame.tick(power, `1e${power}`);
  });
  const parts = [
    ...ticks(yRange).map((value) => frame.grid(value, `${plain(100 * value)} %`)),
    ...bars,
    ...marks(kld, frame),
    ...powers,
    frame.xTitle('KL divergence from float, nats (logarithmic)'),
  ];
  return frame.figure('Divergence token by token', `share of ${total} tokens`, parts);
}

function marks(kld: ValidationReport['kld'], frame: ChartFrame): string[] {
  const values = [
    ['median', kld.median, palette[2]],
    ['mean', kld.mean, palette[5]],
    ['99 %', kld.p99, palette[4]],
    ['most', kld.max, palette[6]],
  ] as const;
  return values.map(([name, value, color], i) => {
    const { x, y } = frame.legendAt(i, 2);
    const entry = `<line x1="${at(x)}" x2="${at(x + 12)}" y1="${at(y - 4)}" y2="${at(y - 4)}" stroke="${color}" stroke-width="2"/>${label(x + 16, y, 'axis', `${name} ${plain(value, 2)}`)}`;
    const place = Math.log10(value);
    if (!(place >= frame.xRange[0] && place <= frame.xRange[1])) return entry;
    const cx = at(frame.x(place));
    return `<line x1="${cx}" x2="${cx}" y1="${frame.top}" y2="${frame.bottom}" stroke="${color}" stroke-width="1.5" stroke-dasharray="4 3"/>${entry}`;
  });
}
