import { extname } from 'node:path';

/** Formats of single files. A safetensors file alone lacks its config.json. */
export type FileFormat = 'llama2ts' | 'gguf' | 'pytorch' | 'llama2c' | 'crystal' | 'safetensors';

const extensions: Readonly<Record<string, FileFormat>> = {
  '.gguf': 'gguf',
  '.pt': 'pytorch',
  '.pth': 'pytorch',
  '.ckpt': 'pytorch',
  '.crystal': 'crystal',
  '.safetensors': 'safetensors',
  // Version 0 of llama2.c begins with a size and has no mark.
  '.bin': 'llama2c',
};

/**
 * The format of a single file that holds a model, or null. Goes by the first bytes (16 are enough) and, where a
 * format has no mark of its own, by the file's extension.
 */
export function recognizeFormat(path: string, start: Uint8Array): FileFormat | null {
  const mark = Buffer.from(start).toString('latin1');
  if (mark.startsWith('GGUF')) return 'gguf';
  if (mark.startsWith('CRYS')) return 'crystal';
  // llama2.c writes 0x616b3432, "ak42", as a little-endian integer, and the version after it.
  if (mark.startsWith('24ka')) return 'llama2c';
  // llama2.ts: version 1 in a byte, then the name of the model with its length.
  if (mark.startsWith('\x01\x05\0\0\0llama')) return 'llama2ts';
  // A zip archive, or the pickle that torch.save wrote before: also what it names pytorch_model.bin.
  if (mark.startsWith('PK\x03\x04') || mark.startsWith('\x80\x02\x8a\x0a')) return 'pytorch';
  const extension = extname(path).toLowerCase();
  return Object.hasOwn(extensions, extension) ? extensions[extension]! : null;
}
