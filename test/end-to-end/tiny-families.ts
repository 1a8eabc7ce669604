/** Tiny checkpoints of the families beside Llama, without tokenizers. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeSafetensors } from '../codegen/checkpoint/safetensors-writer.js';
import { tinyCrystalConfig, tinyCrystalTensors } from '../codegen/checkpoint/tiny-crystal.js';
import { type TinyGpt2, tinyGpt2Config, tinyGpt2Tensors } from '../codegen/checkpoint/tiny-gpt2.js';

/** Writes a GPT-2 of two heads of 21 elements, widths that no vector divides, and returns its folder. */
export function writeGpt2Checkpoint(folder: string, form: TinyGpt2, inner = 101): string {
  const sized = { ...form, sizes: { width: 42, inner, positions: 96, vocab: 263 } };
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'config.json'), JSON.stringify(tinyGpt2Config(sized)));
  writeFileSync(join(folder, 'model.safetensors'), writeSafetensors(tinyGpt2Tensors(sized)));
  return folder;
}

/** Writes a crystal of 75 neurons, and returns its folder. */
export function writeCrystalCheckpoint(folder: string, causal: boolean): string {
  const form = { causal, sizes: { vocab: 263, width: 42, neurons: 75, positions: 64, inner: 85 } };
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'config.json'), JSON.stringify(tinyCrystalConfig(form)));
  writeFileSync(join(folder, 'model.safetensors'), writeSafetensors(tinyCrystalTensors(form)));
  return folder;
}
