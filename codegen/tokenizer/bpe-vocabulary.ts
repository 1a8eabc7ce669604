import type { DiagnosticCode } from '../diagnostics/catalog.js';
import { EmbedError } from '../diagnostics/error.js';
import { type JsonSection, quoted } from './json-section.js';
import type { Merge } from './merge-table.js';

/** The heap of the merge loop keeps ranks in 24 bits. */
const mostMerges = 2 ** 24;

/** The model section of a tokenizer.json: tokens, merges, and what happens to text that has no token. */
export interface BpeVocabulary {
  readonly idOf: ReadonlyMap<string, number>;
  readonly merges: readonly Merge[];
  readonly unknownId: number | null;
  readonly fuseUnknown: boolean;
  readonly byteFallback: boolean;
  readonly ignoreMerges: boolean;
}

/**
 * Reads a BPE model. Throws EM1103 for other models and for settings that change how BPE works, EM1105 for
 * ids beyond the embedding, EM1106 for ids that two tokens share, EM1107 for merges of unknown tokens.
 */
export function readBpeVocabulary(root: JsonSection, vocabSize: number): BpeVocabulary {
  const model = root.section('model');
  if (model === null) throw root.malformed('model', 'an object');
  requirePlainBpe(model);
  const idOf = readVocabulary(model, vocabSize);
  const unknown = model.text('unk_token');
  const unknownId = unknown === null ? null : (idOf.get(unknown) ?? null);
  if (unknown !== null && unknownId === null) {
    const why = `unk_token ${quoted(unknown)} is not in the vocabulary`;
    throw new EmbedError('EM1106', { where: model.file, why });
  }
  return {
    idOf,
    merges: readMerges(model, idOf),
    unknownId,
    fuseUnknown: model.flag('fuse_unk', false),
    byteFallback: model.flag('byte_fallback', false),
    ignoreMerges: model.flag('ignore_merges', false),
  };
}

function requirePlainBpe(model: JsonSection): void {
  const refuse = (why: string) => new EmbedError('EM1103', { where: `${model.file}, ${model.place}`, why });
  // Files from before 2020 do not name the type; merges tell BPE from the others.
  const type = model.text('type') ?? (Array.isArray(model.fields.merges) ? 'BPE' : 'of no named type');
  if (type !== 'BPE') throw refuse(`the model is ${type}; supported: BPE`);
  const dropout = model.fields.dropout ?? 0;
  if (dropout !== 0) throw refuse(`dropout ${quoted(dropout)}: merges would be left out at random`);
  for (const key of ['continuing_subword_prefix', 'end_of_word_suffix']) {
    const value = model.text(key);
    if (value !== null) throw refuse(`${key} ${quoted(value)}`);
  }
}

function readVocabulary(model: JsonSection, vocabSize: number): ReadonlyMap<string, number> {
  const vocabulary = model.section('vocab');
  if (vocabulary === null) throw model.malformed('vocab', 'an object of tokens and their ids');
  const idOf = new Map<string, number>();
  const tokenOf = new Map<number, string>();
  for (const [token, id] of Object.entries(vocabulary.fields)) {
    requireId(vocabulary, token, id, vocabSize);
    const other = tokenOf.get(id);
    if (other !== undefined) {
      const why = `${quoted(other)} and ${quoted(token)} both have id ${id}`;
      throw new EmbedError('EM1106', { where: vocabulary.file, why });
    }
    tokenOf.set(id, token);
    idOf.set(token, id);
  }
  return idOf;
}

/** Throws EM1102 when an id is no integer from 0, EM1105 when the embedding has no such row. */
export function requireId(
  section: JsonSection,
  token: string,
  id: unknown,
  vocabSize: number,
): asserts id is number {
  const valid = Number.isSafeInteger(id) && Number(id) >= 0;
  if (valid && Number(id) < vocabSize) return;
  const code: DiagnosticCode = valid ? 'EM1105' : 'EM1102';
  const expected = valid ? `the embedding has ${vocabSize} rows` : 'expected: a number from 0';
  throw new EmbedError(code, {
    where: section.file,
    why: `token ${quoted(token)} has id ${quoted(id)}; ${expected}`,
  });
}

function readMerges(model: JsonSection, idOf: ReadonlyMap<string, number>): Merge[] {
  const list = model.list('merges');
  if (list.length > mostMerges) throw model.malformed('merges', `at most ${mostMerges} merges`);
  return list.map((entry, rank) => {
    const [left, right] = splitMerge(model, entry, rank);
    const ids = [left, right, left + right].map((token) => {
      const id = idOf.get(token);
      if (id !== undefined) return id;
      const why = `merge ${rank} (${quoted(entry)}) names ${quoted(token)}, which is not in the vocabulary`;
      throw new EmbedError('EM1107', { where: model.file, why });
    });
    return { left: ids[0], right: ids[1], rank, merged: ids[2] };
  });
}

/** A merge is written "a b", or ["a", "b"] since tokens may have spaces in them. */
function splitMerge(model: JsonSection, entry: unknown, rank: number): readonly [string, string] {
  const parts = typeof entry === 'string' ? entry.split(' ') : entry;
  if (Array.isArray(parts) && parts.length === 2) {
    const [left, right] = parts;
    if (typeof left === 'string' && typeof right === 'string') return [left, right];
  }
  throw new EmbedError('EM1102', {
    where: model.file,
    why: `merge ${rank} is ${quoted(entry)}; expected: "left right" or ["left", "right"]`,
  });
}
