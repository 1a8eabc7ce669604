/** A benchmark as a drawing (SVG): instructions per multiplication of every target, and speed under the roof of this machine. */
import { formatMagnitude } from '../../../codegen/commands/quantities.js';
import type { Benchmark, Measurement } from '../measurement.js';

const width = 900;
const panel = { left: 150, right: 40, row: 18 };
const roof = { left: 80, top: 60, width: 780, height: 340 };

/** Of targets, in the order they appear: distinct to most eyes, also without colour vision. */
const colours = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00'];

export function benchmarkPlot(benchmark: Benchmark): string {
  const bars = barPanel(benchmark.measurements);
  const speeds = roofPanel(benchmark, bars.height);
  const height = bars.height + speeds.height;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${width}" height="${height}" fill="white"/>`,
    ...bars.parts,
    ...speeds.parts,
    '</svg>\n',
  ].join('\n');
}

interface Panel {
  readonly parts: readonly string[];
  readonly height: number;
}

const noPanel: Panel = { parts: [], height: 0 };

/** Instructions a multiplication, a bar a bundle. */
function barPanel(measurements: readonly Measurement[]): Panel {
  const counted = measurements.flatMap(({ instructions, macs, ...one }) =>
    instructions === null ? [] : [{ ...one, perMac: instructions.decode / macs }],
  );
  if (counted.length === 0) return noPanel;
  const targets = [...new Set(counted.map(({ target }) => target))];
  const most = Math.max(...counted.map(({ perMac }) => perMac));
  const scale = (width - panel.left - panel.right - 60) / most;
  const labels = [...new Set(counted.map(({ shape, format }) => `${shape} ${format}`))];
  const parts = [text(20, 28, 'Instructions per multiplication, decode (less is better)', 'font-size="16"')];
  targets.forEach((target, i) => {
    parts.push(rectangle(20 + 160 * i, 40, 12, 12, colourOf(i)), text(38 + 160 * i, 51, target));
  });
  let y = 70;
  for (const label of labels) {
    const own = counted.filter(({ shape, format }) => `${shape} ${format}` === label);
    parts.push(text(panel.left - 10, y + 13, label, 'text-anchor="end"'));
    for (const { target, perMac } of own) {
      const long = perMac * scale;
      parts.push(rectangle(panel.left, y, long, panel.row - 4, colourOf(targets.indexOf(target))));
      parts.push(text(panel.left + long + 6, y + 12, perMac.toFixed(3)));
      y += panel.row;
    }
    y += 8;
  }
  return { parts, height: y + 20 };
}

/** Tokens a second over the bytes that a token reads, both logarithmic; the roof is what memory allows. */
function roofPanel({ measurements, bandwidth, machine }: Benchmark, top: number): Panel {
  const timed = measurements.flatMap(({ speed, ...one }) => (speed === null ? [] : [{ ...one, speed }]));
  if (timed.length === 0 || bandwidth.length === 0) return noPanel;
  const points = timed
    .map(({ speed, shape, format }) => ({
      ...{ x: speed.bytesPerToken, y: speed.decode.median, name: `${shape} ${format}` },
    }))
    .sort((a, b) => a.x - b.x);
  const [least, most] = [points[0]!.x / 4, points.at(-1)!.x * 4];
  const limits = bandwidth
    .filter(({ workingSetBytes }) => workingSetBytes >= least && workingSetBytes <= most)
    .map(({ workingSetBytes, bytesPerSecond }) => ({
      x: workingSetBytes,
      y: bytesPerSecond / workingSetBytes,
    }));
  const across = logarithmic(
    [...points, ...limits].map(({ x }) => x),
    roof.left,
    roof.left + roof.width,
  );
  const bottom = top + roof.top + roof.height;
  const up = logarithmic(
    [...points, ...limits].map(({ y }) => y),
    bottom,
    top + roof.top,
  );
  const line = limits.map(({ x, y }) => `${across.at(x).toFixed(1)},${up.at(y).toFixed(1)}`).join(' ');
  const parts = [
    text(20, top + 28, `Decode on one thread of ${machine.cpu}`, 'font-size="16"'),
    text(
      20,
      top + 46,
      'Tokens/s. The line is what read bandwidth allows an engine that reads every weight once a token.',
    ),
    ...across.ticks.flatMap((tick) => [
      `<path d="M${across.at(tick)} ${top + roof.top}V${bottom}" stroke="#ddd"/>`,
      text(across.at(tick), bottom + 18, `${formatMagnitude(tick)}B`, 'text-anchor="middle"'),
    ]),
    ...up.ticks.flatMap((tick) => [
      `<path d="M${roof.left} ${up.at(tick)}H${roof.left + roof.width}" stroke="#ddd"/>`,
      text(roof.left - 8, up.at(tick) + 4, formatMagnitude(tick), 'text-anchor="end"'),
    ]),
    text(roof.left + roof.width / 2, bottom + 38, 'read per token', 'text-anchor="middle"'),
    `<polyline points="${line}" fill="none" stroke="#555" stroke-width="2"/>`,
    ...points.flatMap(({ x, y, name }, i) => [
      `<circle cx="${across.at(x).toFixed(1)}" cy="${up.at(y).toFixed(1)}" r="4" fill="${colourOf(0)}"/>`,
      // Neighbours have their names on different sides.
      ...(i % 2 === 0
        ? [text(across.at(x) - 8, up.at(y) + 4, name, 'text-anchor="end"')]
        : [text(across.at(x) + 8, up.at(y) + 4, name)]),
    ]),
  ];
  return { parts, height: roof.top + roof.height + 60 };
}

/** A logarithmic axis from `from` to `to` whose ends are powers of ten around the values. */
function logarithmic(values: readonly number[], from: number, to: number) {
  const low = Math.floor(Math.log10(Math.min(...values)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values))));
  const at = (value: number) => from + ((Math.log10(value) - low) / (high - low)) * (to - from);
  return { at, ticks: Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i)) };
}

const colourOf = (index: number) => colours[index % colours.length]!;

const rectangle = (x: number, y: number, wide: number, high: number, fill: string) =>
  `<rect x="${x}" y="${y}" width="${wide.toFixed(1)}" height="${high}" fill="${fill}"/>`;

function text(x: number, y: number, content: string, style = ''): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${style}>${escaped}</text>`;
}
