import type { SummaryTensor } from '../../codegen/bundle/quantization-summary.js';
import { plain } from './chart-frame.js';

/** Where a tensor belongs: `layers.3.attn.q` is attn.q of layer 3; others, such as embed, belong to no layer. */
export interface TensorPlace {
  readonly layer: number | null;
  readonly role: string;
}

export function placeOf(name: string): TensorPlace {
  const [, layer, role] = /^layers\.(\d{1,3})\.(.+)$/s.exec(name) ?? [];
  return layer === undefined || role === undefined
    ? { layer: null, role: name }
    : { layer: Number(layer), role };
}

/** All that is known of a tensor, in a line. */
export function describeTensor(tensor: SummaryTensor): string {
  const { name, format, rows, columns, bytes, bitsPerWeight, sqnrDb, outputError, kldShare } = tensor;
  const parts = [
    `${name}: ${format}, ${rows} x ${columns}, ${bytes} bytes (${bitsPerWeight.toFixed(2)} bits a weight with scales)`,
    sqnrDb === null ? 'exact' : `SQNR ${sqnrDb.toFixed(1)} dB`,
    ...(outputError === null ? [] : [`relative output error ${plain(outputError)}`]),
    ...(kldShare === null ? [] : [`${(100 * kldShare).toFixed(1)} % of the divergence`]),
  ];
  return parts.join('; ');
}
