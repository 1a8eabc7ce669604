import { existsSync, statSync } from 'node:fs';
import { EmbedError } from '../diagnostics/error.js';
import { BoundedFile } from './bounded-file.js';
import type { Checkpoint } from './checkpoint.js';
import { type CompletionChoice, openCrystalFile } from './crystal-file.js';
import { openGguf } from './gguf/open-gguf.js';
import { openHuggingFace } from './huggingface.js';
import { openLlama2c } from './llama2c/open-llama2c.js';
import { openPytorch } from './pytorch/open-pytorch.js';
import { recognizeFormat } from './recognize-format.js';

const supported = 'Hugging Face folders, GGUF, PyTorch (.pt), llama2.c and .crystal files are read';

/**
 * Opens the checkpoint at `path`: a Hugging Face folder, or a single file, whose format its first bytes tell; for a .crystal
 * file, `completion` gives what version 1 of that format leaves out. Everything but the weights themselves is checked. Throws
 * EM1001 (not there or not readable), EM1002 (another format, named where it is known) and the errors of the reader that is
 * picked. The caller closes the checkpoint.
 */
export function openCheckpoint(path: string, completion: CompletionChoice = null): Checkpoint {
  if (!existsSync(path)) throw new EmbedError('EM1001', { where: path, why: 'no such file or directory' });
  if (statSync(path).isDirectory()) return openHuggingFace(path);
  switch (recognizeFormat(path, firstBytes(path))) {
    case 'gguf':
      return openGguf(path);
    case 'pytorch':
      return openPytorch(path);
    case 'llama2c':
      return openLlama2c(path);
    case 'safetensors':
      throw new EmbedError('EM1002', {
        where: path,
        why: 'is a single safetensors file without its config.json',
        fix: 'give the folder that holds it beside its config.json',
      });
    case 'llama2ts':
      throw new EmbedError('EM1002', { where: path, why: `is a file of llama2.ts; ${supported}` });
    case 'crystal':
      return openCrystalFile(path, completion);
    case null:
      throw new EmbedError('EM1002', { where: path, why: `is of no known format; ${supported}` });
  }
}

/** Whether a path is a .crystal file. */
export function isCrystalFile(path: string): boolean {
  return (
    existsSync(path) && !statSync(path).isDirectory() && recognizeFormat(path, firstBytes(path)) === 'crystal'
  );
}

function firstBytes(path: string): Uint8Array {
  const file = BoundedFile.open(path);
  try {
    const bytes = new Uint8Array(Math.min(16, file.size));
    file.read(0, bytes);
    return bytes;
  } finally {
    file.close();
  }
}
