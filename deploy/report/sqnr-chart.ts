/** Signal to quantization noise of every tensor over its layer. */
import type { SummaryTensor } from '../../codegen/bundle/quantization-summary.js';
import { at, ChartFrame, clipped, hover, label, palette, plain, rangeAround, ticks } from './chart-frame.js';
import { describeTensor, placeOf } from './tensor-place.js';

const COLUMNS = 8;

/** A colour a role; tensors of no layer stand to the left. Empty where no tensor has a figure. */
export function sqnrChart(tensors: readonly SummaryTensor[]): string {
  const points = tensors.flatMap((tensor) => {
    const { sqnrDb } = tensor;
    // A tensor that is all noise has the least number there is, which no axis reaches.
    return sqnrDb === null || Math.abs(sqnrDb) > 1e3 ? [] : [{ tensor, sqnrDb, ...placeOf(tensor.name) }];
  });
  if (points.length === 0) return '';
  const layers = Math.max(1, ...points.map(({ layer }) => (layer ?? 0) + 1));
  const roles = [...new Set(points.map(({ role }) => role))];
  const yRange = rangeAround(
    points.map(({ sqnrDb }) => sqnrDb),
    2,
  );
  const isOutside = points.some(({ layer }) => layer === null);
  // What belongs to no layer stands as far to the left as its name is wide.
  const outside = -Math.max(1, 0.07 * layers);
  const xRange = [isOutside ? 1.6 * outside : -0.5, layers - 0.5] as const;
  const frame = new ChartFrame(960, 230, Math.ceil(roles.length / COLUMNS), xRange, yRange);
  const colorOf = (role: string) => palette[roles.indexOf(role) % palette.length]!;
  const lines = roles.map((role) => {
    const own = points.filter((one) => one.role === role && one.layer !== null);
    const path = own.map(({ layer, sqnrDb }) => `${at(frame.x(layer!))},${at(frame.y(sqnrDb))}`).join(' ');
    return `<polyline points="${path}" fill="none" stroke="${colorOf(role)}" stroke-width="1.3" stroke-opacity="0.5"/>`;
  });
  const dots = points.map(
    ({ tensor, layer, role, sqnrDb }) =>
      `<circle cx="${at(frame.x(layer ?? outside))}" cy="${at(frame.y(sqnrDb))}" r="3.6" fill="${colorOf(role)}">${hover(describeTensor(tensor))}</circle>`,
  );
  const step = Math.ceil(layers / 24);
  const numbers = Array.from({ length: Math.ceil(layers / step) }, (_, i) =>
    frame.tick(i * step, `${i * step}`),
  );
  const legend = roles.map((role, i) => {
    const { x, y } = frame.legendAt(i, COLUMNS);
    return `<circle cx="${at(x + 4)}" cy="${at(y - 4)}" r="4" fill="${colorOf(role)}"/>${label(x + 13, y, 'axis', clipped(role, 14))}`;
  });
  const parts = [
    ...ticks(yRange).map((value) => frame.grid(value, plain(value))),
    ...[...lines, ...dots, ...(isOutside ? [frame.tick(outside, 'no layer')] : []), ...numbers],
    ...[frame.xTitle('layer'), ...legend],
  ];
  return frame.figure(
    'Signal to quantization noise',
    'SQNR of every tensor in dB; more is better',
    parts,
    true,
  );
}
