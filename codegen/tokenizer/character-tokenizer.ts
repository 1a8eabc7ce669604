/** Vocabularies of single characters, which small training scripts save with the weights as stoi. */
import { BoundedFile } from '../checkpoint/bounded-file.js';
import { PickleDict } from '../checkpoint/pytorch/pickle-values.js';
import { readPytorchFile } from '../checkpoint/pytorch/read-pytorch-file.js';
import { EmbedError } from '../diagnostics/error.js';
import { buildMergeTable } from './merge-table.js';
import { spacesKept } from './settle-spaces.js';
import type { TokenizerModel } from './tokenizer.js';
import { utf8 } from './utf8.js';

/**
 * The tokenizer in a file of torch.save: stoi, from characters to ids; null where there is none. Characters that it
 * lacks cannot be encoded (EM1112). Throws EM1102, EM1105, EM1106 and what readPytorchFile throws.
 */
export function openCharacterTokenizer(path: string, vocabSize: number): TokenizerModel | null {
  const file = BoundedFile.open(path);
  let stoi: unknown;
  try {
    stoi = readPytorchFile(file).root.get('stoi');
  } finally {
    file.close();
  }
  if (!(stoi instanceof PickleDict)) return null;
  const characterIds = new Map<number, number>();
  const text = new Array<Uint8Array>(vocabSize).fill(new Uint8Array(0));
  for (const [character, id] of stoi.entries) {
    if (typeof character !== 'string' || [...character].length !== 1 || !Number.isInteger(id)) {
      const why = `stoi has ${JSON.stringify(character)} with id ${String(id)}; expected: characters with their ids`;
      throw new EmbedError('EM1102', { where: path, why });
    }
    const index = Number(id);
    if (index < 0 || index >= vocabSize) {
      throw new EmbedError('EM1105', {
        where: path,
        why: `stoi has id ${index}, the embedding ${vocabSize} rows`,
      });
    }
    if (text[index]!.length > 0)
      throw new EmbedError('EM1106', { where: path, why: `two characters have id ${index}` });
    characterIds.set(character.codePointAt(0)!, index);
    text[index] = utf8(character);
  }
  return {
    source: path,
    vocabSize,
    passing: 0,
    text,
    silent: new Uint8Array(vocabSize),
    normalizeNfc: false,
    characterMap: null,
    spaces: spacesKept,
    preTokenizer: { pattern: 'none', digitsPerPiece: 0, digits: 'none' },
    prefixSpace: 'never',
    symbols: 'characters',
    byteIds: new Int32Array(256).fill(-1),
    characterIds,
    unknownId: null,
    fuseUnknown: false,
    merges: buildMergeTable(vocabSize, []),
    words: new Uint32Array(0),
    unigram: null,
    added: [],
    bosId: null,
    stripFirstSpace: false,
  };
}
