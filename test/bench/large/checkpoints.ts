/** Checkpoints of random weights in the shapes of larger models: what time and memory are measured on. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Pcg32 } from '../../../codegen/arithmetic/pcg32.js';
import { writeRandomCheckpoint } from '../random-checkpoint.js';
import { shapes } from '../shapes.js';
import { writeRandomGpt2 } from './random-gpt2.js';

/** Any number; another gives other weights of the same shapes. */
const seed = 1;

const gpt2 = { width: 768, inner: 3072, layers: 12, heads: 12, vocab: 50257, positions: 1024 };
const llama340 = { dim: 1024, hidden: 2816, layers: 24, heads: 16, kvHeads: 16, vocab: 32000, context: 256 };

interface LargeCheckpoint {
  readonly vocab: number;
  /** Writes it below the folder and returns what --model takes. */
  readonly write: (folder: string) => string;
}

function llama(shape: Parameters<typeof writeRandomCheckpoint>[1]): LargeCheckpoint {
  const write = (folder: string) => {
    const path = join(folder, 'model.bin');
    writeRandomCheckpoint(path, shape, seed);
    return path;
  };
  return { vocab: shape.vocab, write };
}

/** gpt2-124m has its sizes from the checkpoint of OpenAI; the others are Llamas with tied embeddings. */
export const largeCheckpoints: Readonly<Record<string, LargeCheckpoint>> = {
  'gpt2-124m': {
    vocab: gpt2.vocab,
    write: (folder) => {
      const model = join(folder, 'model');
      writeRandomGpt2(model, gpt2, seed);
      return model;
    },
  },
  'llama-15m': llama(shapes['15M']),
  'llama-150m': llama(shapes['150M']),
  'llama-340m': llama(llama340),
};

/** So many ids as a .u16 file, drawn evenly; returns its path. */
export function writeRandomIds(folder: string, vocab: number, count: number): string {
  const random = new Pcg32(BigInt(seed));
  const path = join(folder, 'ids.u16');
  writeFileSync(
    path,
    Uint16Array.from({ length: count }, () => random.nextBelow(vocab)),
  );
  return path;
}
