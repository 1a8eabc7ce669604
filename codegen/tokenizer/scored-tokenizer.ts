/** Tokenizers of SentencePiece whose pairs merge by the score of what they become. */
import { EmbedError } from '../diagnostics/error.js';
import type { CharacterMap } from './character-map.js';
import { buildMergeTable } from './merge-table.js';
import { mergesByScore } from './merges-by-score.js';
import { type SpaceRules, spacesKept } from './settle-spaces.js';
import type { AddedToken, TokenizerModel } from './tokenizer.js';
import { unigramScores } from './unigram-scores.js';
import { codePointAt } from './utf8.js';

/** sentencepiece_model.proto, SentencePiece.Type; GGUF's token_type has the same numbers. */
export const pieceType = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

export interface Piece {
  /** U+2581 stands for a space. */
  readonly bytes: Uint8Array;
  readonly score: number;
  readonly type: number;
}

export interface ScoredSettings {
  readonly source: string;
  /** Rows of the embedding. */
  readonly vocabSize: number;
  readonly bosId: number | null;
  /** Whether a space goes before a text. */
  readonly prefixSpace: boolean;
  /** merge: neighbours become the piece of the highest score; unigram: a text the pieces with the highest sum of scores. */
  readonly by: 'merge' | 'unigram';
  readonly characterMap: CharacterMap | null;
  /** Runs of spaces are one space, and none stands at the beginning or end. */
  readonly removesExtraSpaces: boolean;
}

const space = Buffer.from('\u2581').toString('latin1');
const byteName = /^<0x([0-9A-F]{2})>$/;

/**
 * The tokenizer of these pieces, bytes for characters without one. By merging: characters first, then always the neighbours whose
 * text together is the piece of the highest score, the leftmost among equals. Control pieces are special added tokens,
 * user-defined ones are added tokens. Throws EM1105 for more pieces than the embedding has rows, EM1106 for a vocabulary
 * that contradicts itself.
 */
export function scoredTokenizer(pieces: readonly Piece[], settings: ScoredSettings): TokenizerModel {
  const { source, vocabSize, bosId, prefixSpace, characterMap } = settings;
  if (pieces.length > vocabSize) {
    const why = `has ${pieces.length} tokens, the embedding ${vocabSize} rows`;
    throw new EmbedError('EM1105', { where: source, why });
  }
  const spelled = pieces.map(({ bytes }) => Buffer.from(bytes).toString('latin1').replaceAll(space, ' '));
  const idOf = new Map<string, number>();
  const seen = new Map<string, number>();
  const byteIds = new Int32Array(256).fill(-1);
  const silent = new Uint8Array(vocabSize);
  const added: AddedToken[] = [];
  let unknownId: number | null = null;
  for (const [id, { type, bytes }] of pieces.entries()) {
    const text = spelled[id]!;
    const other = type === pieceType.unused ? undefined : seen.get(text);
    if (other !== undefined) {
      throw new EmbedError('EM1106', { where: source, why: `tokens ${other} and ${id} are the same` });
    }
    seen.set(text, id);
    if (type === pieceType.normal) idOf.set(text, id);
    else if (type === pieceType.unknown) unknownId = id;
    else if (type === pieceType.byte) byteIds[byteOf(source, id, text)] = id;
    if (type === pieceType.unknown || type === pieceType.control) silent[id] = 1;
    if ((type === pieceType.control || type === pieceType.userDefined) && bytes.length > 0) {
      const content = type === pieceType.control ? bytes : Buffer.from(text, 'latin1');
      const special = type === pieceType.control;
      added.push({ id, content, special, normalized: false, stripLeft: false, stripRight: false });
    }
  }
  added.sort((a, b) => b.content.length - a.content.length || a.id - b.id);
  const text = new Array<Uint8Array>(vocabSize).fill(new Uint8Array(0));
  for (const [id, { type }] of pieces.entries()) {
    text[id] =
      type === pieceType.byte
        ? Uint8Array.of(byteOf(source, id, spelled[id]!))
        : Buffer.from(spelled[id]!, 'latin1');
  }
  return {
    source,
    vocabSize,
    passing: 0,
    text,
    silent,
    normalizeNfc: false,
    characterMap,
    spaces: spaceRules(settings),
    preTokenizer: { pattern: 'none', digitsPerPiece: 0, digits: 'none' },
    prefixSpace: prefixSpace ? 'always' : 'never',
    symbols: 'characters',
    byteIds,
    characterIds: characterIds(idOf),
    unknownId,
    fuseUnknown: true,
    ...wordsOrMerges(pieces, spelled, text, settings, idOf),
    added,
    bosId,
    stripFirstSpace: prefixSpace,
  };
}

/** The scores of normal pieces alone count. */
function wordsOrMerges(
  pieces: readonly Piece[],
  spelled: readonly string[],
  text: readonly Uint8Array[],
  { vocabSize, by }: ScoredSettings,
  idOf: ReadonlyMap<string, number>,
): Pick<TokenizerModel, 'merges' | 'words' | 'unigram'> {
  if (by === 'merge') {
    const mergeable = pieces.map(({ score, type }, id) => ({
      score: type === pieceType.normal ? score : Number.NEGATIVE_INFINITY,
      bytes: spelled[id]!,
    }));
    const merges = buildMergeTable(vocabSize, mergesByScore(mergeable, idOf));
    return { merges, words: new Uint32Array(0), unigram: null };
  }
  const scores = text.map((_, id) => (pieces[id]?.type === pieceType.normal ? pieces[id].score : null));
  const words = Uint32Array.from(idOf.values()).filter((id) => text[id]!.length > 0);
  return {
    merges: buildMergeTable(vocabSize, []),
    words: words.sort((a, b) => Buffer.compare(text[a]!, text[b]!)),
    unigram: unigramScores(scores),
  };
}

function spaceRules({ by, removesExtraSpaces }: ScoredSettings): SpaceRules {
  const readsMark = by === 'unigram';
  if (!removesExtraSpaces) return { ...spacesKept, readsMark };
  return { trimsLeft: true, trimsRight: true, trimsWhite: false, collapses: 'spaces', readsMark };
}

function byteOf(source: string, id: number, text: string): number {
  const name = byteName.exec(text);
  if (name !== null) return Number.parseInt(name[1]!, 16);
  const why = `token ${id} is of type byte, but is called ${JSON.stringify(text.slice(0, 40))}`;
  throw new EmbedError('EM1106', { where: source, why });
}

function characterIds(idOf: ReadonlyMap<string, number>): Map<number, number> {
  const ids = new Map<number, number>();
  for (const [text, id] of idOf) {
    const bytes = Buffer.from(text, 'latin1');
    if (bytes.length === 0) continue;
    const found = codePointAt(bytes, 0, bytes.length);
    if ((found & 7) === bytes.length) ids.set(found >> 3, id);
  }
  const spaceId = ids.get(0x20);
  if (spaceId !== undefined) ids.set(0x2581, spaceId);
  return ids;
}
