import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { EmbedError } from '../diagnostics/error.js';
import { assembleCheckpoint } from './assemble-checkpoint.js';
import { BoundedFile } from './bounded-file.js';
import type { Checkpoint } from './checkpoint.js';
import { FileSet } from './file-set.js';
import { readJsonObject } from './json-object.js';
import { dequantizedEntries } from './prequantized/dequantized-entries.js';
import { type QuantizationConfig, readQuantizationConfig } from './prequantized/quantization-config.js';
import { readPytorchFile } from './pytorch/read-pytorch-file.js';
import { readSafetensorsFolder } from './safetensors-shards.js';
import { Settings } from './settings.js';
import type { TensorEntry } from './tensor-entry.js';

const mostConfigBytes = 4 << 20;

/**
 * Opens a Hugging Face folder: config.json, model.safetensors or its shards, else pytorch_model.bin or model.pt;
 * generation_config.json where there is one. Every tensor the config demands is located and its shape and type
 * checked; of the weights nothing is read, except where a tied model also brings lm_head.weight, which must then
 * equal the embedding. Weights quantized by GPTQ, AWQ or compressed-tensors are read as the numbers they stand for.
 * Throws EM1001 to EM1017, EM1019, EM1030 to EM1032, EM1036 and EM1037.
 */
export function openHuggingFace(folder: string): Checkpoint {
  const configPath = join(folder, 'config.json');
  if (!existsSync(configPath)) throw new EmbedError('EM1003', { where: folder, why: 'has no config.json' });
  return FileSet.build((files) => {
    const { quantization_config: quantized, ...values } = readJsonObject(
      files.open(configPath),
      mostConfigBytes,
    );
    const { entries, weights } = readWeights(folder, readQuantization(configPath, quantized), files);
    return assembleCheckpoint({
      path: folder,
      format: 'huggingface',
      formatText: `Hugging Face folder with ${weights}`,
      settings: new Settings(configPath, values),
      generation: readGenerationConfig(folder),
      entries,
      files,
    });
  });
}

/** null where the weights are plain floats. */
function readQuantization(configPath: string, value: unknown): QuantizationConfig | null {
  if (value === undefined || value === null) return null;
  const quantization = new Settings(configPath, { quantization_config: value }).object(
    'quantization_config',
  )!;
  return readQuantizationConfig(quantization);
}

/** Names under which torch.save files lie beside a config.json. */
const pytorchNames = ['pytorch_model.bin', 'model.pt'];

function readWeights(
  folder: string,
  quantization: QuantizationConfig | null,
  files: FileSet,
): { entries: ReadonlyMap<string, TensorEntry>; weights: string } {
  const hasSafetensors = ['model.safetensors', 'model.safetensors.index.json'].some((name) =>
    existsSync(join(folder, name)),
  );
  const pytorch = pytorchNames.find((name) => existsSync(join(folder, name)));
  if (!hasSafetensors && pytorch !== undefined && quantization === null) {
    return { entries: readPytorchFile(files.open(join(folder, pytorch))).tensors, weights: pytorch };
  }
  const stored = readSafetensorsFolder(folder, files);
  if (quantization === null) return { entries: stored, weights: 'safetensors' };
  return {
    entries: dequantizedEntries(stored, quantization),
    weights: `safetensors (${quantization.method})`,
  };
}

/** Not part of the model's hash: it says when to stop, not what to compute. */
function readGenerationConfig(folder: string): Settings | null {
  const path = join(folder, 'generation_config.json');
  if (!existsSync(path)) return null;
  const file = BoundedFile.open(path);
  try {
    return new Settings(path, readJsonObject(file, mostConfigBytes));
  } finally {
    file.close();
  }
}
