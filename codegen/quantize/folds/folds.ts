/** Scales of channels and turns of rotary pairs, as they are searched, written down and folded into weights. */
import { EmbedError } from '../../diagnostics/error.js';

/** Steps of a scale in an octave: what is written down are whole steps, so that a bundle's folded weights can be made again. */
export const STEPS_PER_OCTAVE = 16;
export const MOST_STEPS = 127;

/**
 * int8[channels] by place: channel c is scaled by 2^(steps[c] / 16), where channels are scaled (fold-places.ts); for keys, scales and
 * angles of pairs (rotary/pair-turns.ts). Nothing is folded into a place that is not there.
 */
export type Folds = ReadonlyMap<string, Int8Array>;

export const scaleOf = (steps: number): number => 2 ** (steps / STEPS_PER_OCTAVE);

/** The nearest steps to scales that are positive. */
export function stepsOf(scales: Float64Array): Int8Array {
  return Int8Array.from(scales, (scale) => {
    const steps = Math.round(STEPS_PER_OCTAVE * Math.log2(scale));
    return Math.max(-MOST_STEPS, Math.min(MOST_STEPS, steps));
  });
}

/** What all places have in common. */
export interface Place {
  readonly name: string;
  readonly channels: number;
}

/** Folds in a manifest: base64 of the int8 of each place. */
export type FoldRecord = Readonly<Record<string, string>>;

export function foldRecord(folds: Folds): FoldRecord {
  return Object.fromEntries([...folds].map(([name, steps]) => [name, Buffer.from(steps).toString('base64')]));
}

/** Reads a record. Throws EM1401 naming `where` for places that the model does not have, and for other numbers of channels. */
export function parseFolds(record: FoldRecord, places: readonly Place[], where: string): Folds {
  const folds = Object.entries(record).map(([name, text]) => {
    const place = places.find((one) => one.name === name);
    if (place === undefined) throw damaged(where, `nothing can be folded into ${name}`);
    const steps = new Int8Array(Uint8Array.from(Buffer.from(text, 'base64')).buffer);
    const fits = steps.length === place.channels && !steps.includes(-MOST_STEPS - 1);
    if (!fits) throw damaged(where, `what is folded into ${name} is not of ${place.channels} channels`);
    return [name, steps] as const;
  });
  return new Map(folds);
}

const damaged = (where: string, why: string) =>
  new EmbedError('EM1401', { where, why: `quantization.folds: ${why}` });
