import type { SafetensorsEntry } from '../safetensors.js';
import type { TensorEntry } from '../tensor-entry.js';
import { awqShape, unpackAwq } from './awq.js';
import { gptqShape, unpackGptq } from './gptq.js';
import { packShape, unpackPacked } from './pack-quantized.js';
import { QuantizedParts } from './packed-words.js';
import type { QuantizationConfig } from './quantization-config.js';
import { GridHolder, gridEntry } from './weight-grid.js';

/** The part that shows that a module is quantized. */
const codesOf = { GPTQ: 'qweight', AWQ: 'qweight', 'pack-quantized': 'weight_packed' } as const;

const partsOf = {
  GPTQ: ['qweight', 'qzeros', 'scales', 'g_idx'],
  AWQ: ['qweight', 'qzeros', 'scales'],
  'pack-quantized': ['weight_packed', 'weight_scale', 'weight_zero_point', 'weight_shape', 'weight_g_idx'],
} as const;

/** A shape that is itself a tensor has two sizes, and no size is beyond this. */
const largestSize = 1 << 24;

/**
 * The tensors of a quantized folder with every quantized module as one matrix [outputs, inputs] called MODULE.weight:
 * its values are exactly those that codes, zero points and scales stand for. Throws EM1036 where the parts of a module
 * do not fit together.
 */
export function dequantizedEntries(
  entries: ReadonlyMap<string, SafetensorsEntry>,
  config: QuantizationConfig,
): Map<string, TensorEntry> {
  const { method } = config;
  const end = `.${codesOf[method]}`;
  const holder = new GridHolder();
  const result = new Map<string, TensorEntry>(entries);
  for (const name of entries.keys()) {
    if (!name.endsWith(end)) continue;
    const parts = new QuantizedParts(name.slice(0, -end.length), entries);
    for (const part of partsOf[method]) result.delete(`${parts.name}.${part}`);
    const weight = `${parts.name}.weight`;
    if (entries.has(weight)) throw parts.fault('has a weight beside its codes');
    result.set(weight, entryOf(parts, entries, config, holder));
  }
  return result;
}

function entryOf(
  parts: QuantizedParts,
  entries: ReadonlyMap<string, SafetensorsEntry>,
  config: QuantizationConfig,
  holder: GridHolder,
): TensorEntry {
  const { method } = config;
  const tensor = (shape: [number, number]) => ({
    name: `${parts.name}.weight`,
    dtype: method,
    shape,
    path: parts.path(codesOf[method]),
    storedBytes: parts.bytes(...partsOf[method]),
  });
  switch (config.method) {
    case 'GPTQ':
      return gridEntry(holder, tensor(gptqShape(parts, config)), () => unpackGptq(parts, config));
    case 'AWQ':
      return gridEntry(holder, tensor(awqShape(parts)), () => unpackAwq(parts, config));
    case 'pack-quantized': {
      const shape = packShape(parts, (part) => readSizes(parts, entries.get(`${parts.name}.${part}`)));
      return gridEntry(holder, tensor(shape), () => unpackPacked(parts, shape, config));
    }
  }
}

/** The int64 elements of a tensor that holds a shape. */
function readSizes(parts: QuantizedParts, entry: SafetensorsEntry | undefined): number[] {
  if (entry?.dtype !== 'I64' || entry.bytes !== 16) throw parts.fault('weight_shape is no pair of I64');
  const bytes = new Uint8Array(16);
  entry.file.read(entry.offset, bytes);
  const sizes = [...new BigInt64Array(bytes.buffer)].map(Number);
  if (sizes.some((size) => !(size >= 1 && size <= largestSize))) {
    throw parts.fault(`weight_shape is ${sizes.join(', ')}`);
  }
  return sizes;
}
