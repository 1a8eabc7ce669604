/** What version 1 of .crystal files leaves out, given by a file, by a fit to text, or by the manifest of a bundle. */
import { EmbedError } from '../diagnostics/error.js';
import { BoundedFile } from './bounded-file.js';
import { isJsonObject, readJsonObject } from './json-object.js';

/** value = stored integer * scale + offset. */
export interface StoredScale {
  readonly scale: number;
  readonly offset: number;
}

/** Tensors whose scales version 1 does not store. */
export const unscaledTensors = ['pos_embed', 'values', 'temperature'] as const;
export type UnscaledTensor = (typeof unscaledTensors)[number];

export interface CrystalCompletion {
  /** Absent for files whose numbers are float32. */
  readonly scales?: Readonly<Partial<Record<UnscaledTensor, StoredScale>>>;
  /** order[i]: the number in the model of neuron i of the file, by which temperatures stand. */
  readonly order?: readonly number[];
}

const mostBytes = 4 << 20;

/** Reads {"pos_embed": {"scale": s, "offset": o}, "values": ..., "temperature": ..., "order": [...]}. Throws EM1062. */
export function readCompletion(path: string): CrystalCompletion {
  const file = BoundedFile.open(path);
  try {
    return parseCompletion(readJsonObject(file, mostBytes), path);
  } finally {
    file.close();
  }
}

/** Checks a parsed value; `where` names it in errors. Throws EM1062. */
export function parseCompletion(value: unknown, where: string): CrystalCompletion {
  const refuse = (why: string) => new EmbedError('EM1062', { where, why });
  if (!isJsonObject(value)) throw refuse('it is not a JSON object');
  const known: readonly string[] = [...unscaledTensors, 'order'];
  const unknown = Object.keys(value).find((key) => !known.includes(key));
  if (unknown !== undefined) throw refuse(`field "${unknown}" is not known; fields are ${known.join(', ')}`);
  const scales: Partial<Record<UnscaledTensor, StoredScale>> = {};
  for (const name of unscaledTensors) {
    const entry = value[name];
    if (entry === undefined) continue;
    const { scale, offset } = (isJsonObject(entry) ? entry : {}) as Record<string, unknown>;
    const finite = (v: unknown): v is number => typeof v === 'number' && Math.abs(v) <= 1e30;
    if (!finite(scale) || !finite(offset) || scale < 0)
      throw refuse(`${name} must be {"scale": a number from 0, "offset": a number}`);
    scales[name] = { scale, offset };
  }
  const { order } = value;
  if (order === undefined) return { scales };
  if (!Array.isArray(order) || [...order].sort((a, b) => a - b).some((n, i) => n !== i))
    throw refuse('order must name every neuron once, from 0 on');
  return { scales, order: order as number[] };
}

/** The completion as JSON, for files and manifests. */
export function completionRecord({ scales = {}, order }: CrystalCompletion): Record<string, unknown> {
  return { ...scales, ...(order === undefined ? {} : { order }) };
}
