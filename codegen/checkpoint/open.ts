import { existsSync, statSync } from 'node:fs';
import { EmbedError } from '../diagnostics/error.js';
import { BoundedFile } from './bounded-file.js';
import type { Checkpoint } from './checkpoint.js';
import { recognizeForeignFormat } from './foreign-formats.js';
import { openHuggingFace } from './huggingface.js';
import { openLlama2c } from './llama2c.js';

const supported = 'this version reads Hugging Face directories and llama2.c version 0 .bin files';

/**
 * Opens the checkpoint at `path`: a directory with config.json, or a llama2.c version 0 .bin file. Everything
 * but the weights themselves is checked. Throws EM1001 (not there or not readable), EM1002 (another format,
 * named where it is known) and the errors of the reader that is picked. The caller closes the checkpoint.
 */
export function openCheckpoint(path: string): Checkpoint {
  if (!existsSync(path)) throw new EmbedError('EM1001', { where: path, why: 'no such file or directory' });
  if (statSync(path).isDirectory()) return openHuggingFace(path);
  const foreign = recognizeForeignFormat(path, firstBytes(path));
  if (foreign !== null) throw new EmbedError('EM1002', { where: path, why: `is ${foreign}; ${supported}` });
  if (path.toLowerCase().endsWith('.bin')) return openLlama2c(path);
  throw new EmbedError('EM1002', { where: path, why: `is of no known format; ${supported}` });
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
