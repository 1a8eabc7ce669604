/** Bits of every tensor of a model as a map: a row a role, a column a layer. */
import type { SummaryTensor } from '../../codegen/bundle/quantization-summary.js';
import { formats } from '../../codegen/quantize/format.js';
import { at, clipped, figure, hover, label } from './chart-frame.js';
import { describeTensor, placeOf } from './tensor-place.js';

/** One hue, darker with more bits, and the colour of what is written on it. */
const shades = [
  { bits: 4, fill: '#dbeafe', ink: '#1a365d' },
  { bits: 5, fill: '#a9cdf5', ink: '#1a365d' },
  { bits: 6, fill: '#6ea8e5', ink: '#0f2747' },
  { bits: 8, fill: '#2b6cb0', ink: '#ffffff' },
  { bits: 16, fill: '#153e75', ink: '#ffffff' },
] as const;
const unknownShade = { fill: '#a0aec0', ink: '#1a202c' };

/** Stored bits of a format; null for one that is not known. */
const bitsOf = (format: string): number | null =>
  Object.hasOwn(formats, format) ? formats[format as keyof typeof formats].bits : null;

const WIDTH = 960;
const LEFT = 128;
const TOP = 8;
const ROW = 24;
/** A cell that is narrower has no number. */
const WIDTH_OF_NUMBER = 15;
/** Layers that are numbered at most. */
const NUMBERED = 32;

/** What belongs to no layer stretches over all of them. Empty without tensors. */
export function bitsMap(tensors: readonly SummaryTensor[]): string {
  if (tensors.length === 0) return '';
  const placed = tensors.map((tensor) => ({ tensor, ...placeOf(tensor.name) }));
  const layers = Math.max(1, ...placed.map(({ layer }) => (layer ?? 0) + 1));
  const roles = [...new Set(placed.map(({ role }) => role))];
  const width = (WIDTH - LEFT - 8) / layers;
  const rows = roles.flatMap((role, row) => {
    const y = TOP + row * ROW;
    const cells = placed
      .filter((one) => one.role === role)
      .map(({ tensor, layer }) =>
        layer === null ? cell(tensor, LEFT, y, width * layers) : cell(tensor, LEFT + layer * width, y, width),
      );
    return [label(LEFT - 8, y + 16, 'axis end', clipped(role, 19)), ...cells];
  });
  const bottom = TOP + roles.length * ROW;
  const isLayered = placed.some(({ layer }) => layer !== null);
  const parts = [
    ...rows,
    ...(isLayered ? layerNumbers(layers, width, bottom) : []),
    ...legend(tensors, bottom),
  ];
  const unit = 'stored bits of a weight; scales come on top';
  return figure('Bits per tensor', unit, [WIDTH, bottom + 46], parts, true);
}

function cell(tensor: SummaryTensor, x: number, y: number, width: number): string {
  const bits = bitsOf(tensor.format);
  const { fill, ink } = shades.find((shade) => shade.bits === bits) ?? unknownShade;
  const written =
    width < WIDTH_OF_NUMBER
      ? ''
      : `<text x="${at(x + width / 2)}" y="${y + 16}" class="cell" fill="${ink}">${bits ?? '?'}</text>`;
  return `<g>${hover(describeTensor(tensor))}<rect x="${at(x + 0.75)}" y="${y + 0.75}" width="${at(Math.max(1, width - 1.5))}" height="${ROW - 1.5}" rx="2" fill="${fill}"/>${written}</g>`;
}

function layerNumbers(layers: number, width: number, bottom: number): string[] {
  const step = Math.ceil(layers / NUMBERED);
  const numbers = Array.from({ length: Math.ceil(layers / step) }, (_, i) =>
    label(LEFT + (i * step + 0.5) * width, bottom + 15, 'axis middle', String(i * step)),
  );
  return [label(LEFT - 8, bottom + 15, 'axis end', 'layer'), ...numbers];
}

function legend(tensors: readonly SummaryTensor[], bottom: number): string[] {
  const used = shades.filter(({ bits }) => tensors.some(({ format }) => bitsOf(format) === bits));
  return used.map(({ bits, fill }, i) => {
    const x = LEFT + i * 84;
    const text = label(x + 20, bottom + 37, 'axis', `${bits} bits`);
    return `<rect x="${x}" y="${bottom + 26}" width="14" height="14" rx="2" fill="${fill}"/>${text}`;
  });
}
