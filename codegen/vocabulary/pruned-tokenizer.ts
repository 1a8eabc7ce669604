import { buildMergeTable, type Merge } from '../tokenizer/merge-table.js';
import type { TokenizerModel } from '../tokenizer/tokenizer.js';

/** The tokenizer of the tokens `kept`, ascending old ids: token i was kept[i]. `kept` is closed under merges. */
export function prunedTokenizer(model: TokenizerModel, kept: Int32Array): TokenizerModel {
  const newId = newIds(model.vocabSize, kept);
  const renamed = (id: number | null) => (id === null ? null : orNull(newId[id]!));
  const { merges } = model;
  const left: Merge[] = [];
  for (const old of kept) {
    for (let at = merges.rows[old]!; at < merges.rows[old + 1]!; at++) {
      const [right, merged] = [newId[merges.rights[at]!]!, newId[merges.merged[at]!]!];
      if (right >= 0 && merged >= 0) left.push({ left: newId[old]!, right, rank: merges.ranks[at]!, merged });
    }
  }
  return {
    ...model,
    vocabSize: kept.length,
    text: Array.from(kept, (old) => model.text[old]!),
    silent: Uint8Array.from(kept, (old) => model.silent[old]!),
    byteIds: model.byteIds.map((old) => (old < 0 ? -1 : newId[old]!)),
    characterIds: new Map(
      [...model.characterIds].flatMap(([code, old]) => (newId[old]! < 0 ? [] : [[code, newId[old]!]])),
    ),
    unknownId: renamed(model.unknownId),
    merges: buildMergeTable(kept.length, left),
    words: model.words.filter((old) => newId[old]! >= 0).map((old) => newId[old]!),
    unigram: model.unigram && {
      ...model.unigram,
      pieces: Int32Array.from(kept, (old) => model.unigram!.pieces[old]!),
    },
    added: model.added.map((token) => ({ ...token, id: newId[token.id]! })).filter(({ id }) => id >= 0),
    bosId: renamed(model.bosId),
  };
}

/** The new id of every old one; -1 for those that are gone. */
export function newIds(vocabSize: number, kept: Int32Array): Int32Array {
  const ids = new Int32Array(vocabSize).fill(-1);
  for (const [id, old] of kept.entries()) ids[old] = id;
  return ids;
}

function orNull(id: number): number | null {
  return id < 0 ? null : id;
}
