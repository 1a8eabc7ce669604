import { encodeText } from '../tokenizer/encode-text.js';
import type { TokenizerModel } from '../tokenizer/tokenizer.js';

/**
 * The tokens that stay when a vocabulary is cut down to a text, ascending: what the text uses, all bytes, added and
 * unknown tokens, `others` (such as those that end a text), and what any of these is merged from. A text that the full
 * vocabulary encodes by kept tokens alone is encoded the same afterwards: every merge on the way to a kept token is
 * still there, in its order, and of the merges that are gone none was ever carried out. Throws EM1112 for a text that
 * the vocabulary cannot encode.
 */
export function keptTokens(model: TokenizerModel, text: Uint8Array, others: readonly number[]): Int32Array {
  const used: number[] = [...new Set(encodeText(model, text, { special: true }))];
  for (const id of model.byteIds) used.push(id);
  for (const { id } of model.added) used.push(id);
  for (const id of [model.unknownId, model.bosId, ...others]) if (id !== null) used.push(id);
  return mergeClosure(model, used);
}

/** These tokens and all that any of them is merged from, ascending. Ids below 0 are none. */
export function mergeClosure(model: TokenizerModel, ids: Iterable<number>): Int32Array {
  const kept = new Uint8Array(model.vocabSize);
  const open: number[] = [];
  const keep = (id: number) => {
    if (id < 0 || kept[id] === 1) return;
    kept[id] = 1;
    open.push(id);
  };
  for (const id of ids) keep(id);
  const parents = parentsOf(model);
  for (let id = open.pop(); id !== undefined; id = open.pop())
    for (const parent of parents[id] ?? []) keep(parent);
  return Int32Array.from(kept.keys()).filter((id) => kept[id] === 1);
}

/** The tokens that each token can be merged from. */
function parentsOf({ merges, vocabSize }: TokenizerModel): number[][] {
  const parents = Array.from({ length: vocabSize }, (): number[] => []);
  for (let left = 0; left < vocabSize; left++) {
    for (let at = merges.rows[left]!; at < merges.rows[left + 1]!; at++) {
      parents[merges.merged[at]!]!.push(left, merges.rights[at]!);
    }
  }
  return parents;
}
