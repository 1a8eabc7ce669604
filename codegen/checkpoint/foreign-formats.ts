import { extname } from 'node:path';

/**
 * What a single file is, when it is a model of a format that is known but not read, or null. Goes by the
 * first bytes (16 are enough) and, where a format has no mark of its own, by the file's extension.
 */
export function recognizeForeignFormat(path: string, start: Uint8Array): string | null {
  const mark = Buffer.from(start).toString('latin1');
  const extension = extname(path).toLowerCase();
  if (mark.startsWith('GGUF')) return 'a GGUF file';
  if (mark.startsWith('CRYS')) return 'a .crystal file';
  // llama2.c writes 0x616b3432, "ak42", as a little-endian integer, and the version after it.
  if (mark.startsWith('24ka')) return `a llama2.c file of version ${Buffer.from(start).at(4) ?? '?'}`;
  // A zip archive; also what torch.save names pytorch_model.bin.
  if (mark.startsWith('PK\x03\x04')) return 'a PyTorch file (.pt)';
  if (extension === '.safetensors') return 'a single safetensors file without its config.json';
  if (extension === '.gguf') return 'a GGUF file';
  if (extension === '.crystal') return 'a .crystal file';
  if (extension === '.pt' || extension === '.pth' || extension === '.ckpt') return 'a PyTorch file (.pt)';
  return null;
}
