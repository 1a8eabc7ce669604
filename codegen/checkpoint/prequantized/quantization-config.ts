import { EmbedError } from '../../diagnostics/error.js';
import type { Settings } from '../settings.js';
import type { AwqSettings } from './awq.js';
import type { GptqSettings } from './gptq.js';
import type { PackSettings } from './pack-quantized.js';
import { packedBits } from './packed-words.js';

/** How the matrices of a folder were quantized, from quantization_config of its config.json. */
export type QuantizationConfig =
  | ({ readonly method: 'GPTQ' } & GptqSettings)
  | ({ readonly method: 'AWQ' } & AwqSettings)
  | ({ readonly method: 'pack-quantized' } & PackSettings);

const largestGroup = 1 << 20;

/** Throws EM1037 for methods and settings that are not supported, EM1005 and EM1006 for missing and bad values. */
export function readQuantizationConfig(config: Settings): QuantizationConfig {
  switch (config.get('quant_method')) {
    case 'gptq':
      return readGptq(config);
    case 'awq':
      return readAwq(config);
    case 'compressed-tensors':
      return readCompressedTensors(config);
    default:
      throw unsupported(config, 'quant_method', 'gptq, awq, compressed-tensors');
  }
}

function readGptq(config: Settings): QuantizationConfig {
  const format = config.get('checkpoint_format') ?? 'gptq';
  if (format !== 'gptq' && format !== 'gptq_v2')
    throw unsupported(config, 'checkpoint_format', 'gptq, gptq_v2');
  return {
    method: 'GPTQ',
    bits: readBits(config, 'bits'),
    groupSize: readGroupSize(config),
    zeroPointsLessOne: format === 'gptq',
  };
}

function readAwq(config: Settings): QuantizationConfig {
  const version = config.get('version') ?? 'gemm';
  if (typeof version !== 'string' || version.toLowerCase() !== 'gemm')
    throw unsupported(config, 'version', 'gemm');
  if (config.integer('bits', 1, 32) !== 4) throw unsupported(config, 'bits', '4');
  return { method: 'AWQ', groupSize: readGroupSize(config), zeroPoint: config.boolean('zero_point') ?? true };
}

function readCompressedTensors(config: Settings): QuantizationConfig {
  if (config.get('format') !== 'pack-quantized') throw unsupported(config, 'format', 'pack-quantized');
  const groups = config.get('config_groups');
  const names = typeof groups === 'object' && groups !== null ? Object.keys(groups) : [];
  if (names.length !== 1) throw unsupported(config, 'config_groups', 'one group of layers');
  const group = config.object('config_groups')!.object(names[0]!);
  const weights = group?.object('weights') ?? null;
  if (group === null || weights === null) throw config.unusable('config_groups', 'a group with weights');
  for (const key of ['input_activations', 'output_activations']) {
    if (group.has(key)) throw unsupported(group, key, 'null: weights alone');
  }
  if ((weights.get('type') ?? 'int') !== 'int') throw unsupported(weights, 'type', 'int');
  const strategy = weights.get('strategy') ?? (weights.has('group_size') ? 'group' : 'channel');
  if (strategy !== 'group' && strategy !== 'channel' && strategy !== 'tensor') {
    throw unsupported(weights, 'strategy', 'group, channel, tensor');
  }
  const symmetric = weights.boolean('symmetric') ?? true;
  if (!symmetric && strategy === 'tensor')
    throw unsupported(weights, 'symmetric', 'true with strategy tensor');
  return {
    method: 'pack-quantized',
    bits: readBits(weights, 'num_bits'),
    groupSize: strategy === 'group' ? weights.integer('group_size', 1, largestGroup) : null,
    perTensor: strategy === 'tensor',
    symmetric,
  };
}

function readBits(config: Settings, key: string): number {
  const bits = config.integer(key, 1, 32);
  if (!packedBits.includes(bits)) throw unsupported(config, key, packedBits.join(', '));
  return bits;
}

/** -1 means all columns. */
function readGroupSize(config: Settings): number | null {
  const size = config.integer('group_size', -1, largestGroup);
  if (size === 0) throw config.unusable('group_size', '-1 or a number from 1');
  return size === -1 ? null : size;
}

function unsupported(config: Settings, key: string, supported: string): EmbedError {
  const value = JSON.stringify(config.get(key))?.slice(0, 80) ?? 'absent';
  return new EmbedError('EM1037', {
    where: config.where,
    why: `${key} is ${value}; supported: ${supported}`,
  });
}
