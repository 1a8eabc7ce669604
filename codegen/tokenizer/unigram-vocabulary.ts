import { EmbedError } from '../diagnostics/error.js';
import type { BpeVocabulary } from './bpe-vocabulary.js';
import { type JsonSection, quoted } from './json-section.js';

/** The model section of a tokenizer.json whose tokens have probabilities: nothing merges, each token has a score. */
export interface UnigramVocabulary extends BpeVocabulary {
  /** By id. */
  readonly scores: readonly number[];
}

/**
 * Reads a Unigram model: vocab is a list of [token, score], a token's id its place. Throws EM1102 for entries of another form,
 * EM1105 for more tokens than the embedding has rows, EM1106 for a token that stands twice or an unk_id that is none.
 */
export function readUnigramVocabulary(model: JsonSection, vocabSize: number): UnigramVocabulary {
  const entries = model.list('vocab');
  if (entries.length === 0) throw model.malformed('vocab', 'tokens with their scores');
  if (entries.length > vocabSize) {
    const why = `has ${entries.length} tokens, the embedding ${vocabSize} rows`;
    throw new EmbedError('EM1105', { where: model.file, why });
  }
  const idOf = new Map<string, number>();
  const scores: number[] = [];
  for (const [id, entry] of entries.entries()) {
    const [token, score] = tokenAndScore(model, entry, id);
    const other = idOf.get(token);
    if (other !== undefined) {
      const why = `tokens ${other} and ${id} are both ${quoted(token)}`;
      throw new EmbedError('EM1106', { where: model.file, why });
    }
    idOf.set(token, id);
    scores.push(score);
  }
  return {
    idOf,
    scores,
    merges: [],
    unknownId: unknownId(model, entries.length),
    fuseUnknown: true,
    byteFallback: model.flag('byte_fallback', false),
    ignoreMerges: false,
  };
}

function tokenAndScore(model: JsonSection, entry: unknown, id: number): readonly [string, number] {
  if (Array.isArray(entry) && entry.length === 2) {
    const [token, score]: unknown[] = entry;
    if (typeof token === 'string' && typeof score === 'number' && Number.isFinite(score))
      return [token, score];
  }
  const why = `token ${id} of model.vocab is ${quoted(entry)}; expected: [text, score]`;
  throw new EmbedError('EM1102', { where: model.file, why });
}

function unknownId(model: JsonSection, count: number): number | null {
  const id = model.fields.unk_id ?? null;
  if (id === null) return null;
  if (typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < count) return id;
  const why = `unk_id is ${quoted(id)}; the vocabulary has ${count} tokens`;
  throw new EmbedError('EM1106', { where: model.file, why });
}
