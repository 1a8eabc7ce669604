/** Tokenizers of Hugging Face directories: tokenizer.json, with tokenizer_config.json beside it. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BoundedFile } from '../checkpoint/bounded-file.js';
import { parseJsonObject } from '../checkpoint/json-object.js';
import { EmbedError } from '../diagnostics/error.js';
import { type AddedTokens, readAddedTokens } from './added-tokens.js';
import { readBeginToken } from './begin-token.js';
import { type BpeVocabulary, readBpeVocabulary } from './bpe-vocabulary.js';
import { bytesOfToken, characterOfByte } from './byte-alphabet.js';
import { JsonSection } from './json-section.js';
import { buildMergeTable } from './merge-table.js';
import {
  type DecoderSettings,
  readDecoder,
  readNormalizer,
  readPreTokenizer,
  spaceCharacter,
} from './pipeline-settings.js';
import type { SpaceRules } from './settle-spaces.js';
import type { TokenizerModel } from './tokenizer.js';
import { unigramScores } from './unigram-scores.js';
import { readUnigramVocabulary, type UnigramVocabulary } from './unigram-vocabulary.js';
import { utf8 } from './utf8.js';

/** Far above any tokenizer there is: the largest known have 35 MB. */
const mostBytes = 2 ** 28;

/**
 * Reads a tokenizer.json. vocabSize: rows of the embedding. Throws EM1102 (damaged file) and EM1103 to EM1111
 * (what is in it cannot be used), which name the component.
 */
export function openTokenizerJson(path: string, vocabSize: number): TokenizerModel {
  return tokenizerOf(readSection(path), readTokenizerConfig(path), vocabSize);
}

/** tokenizer_config.json beside a tokenizer file, or null. */
export function readTokenizerConfig(path: string): JsonSection | null {
  const configPath = join(dirname(path), 'tokenizer_config.json');
  return existsSync(configPath) ? readSection(configPath) : null;
}

/**
 * The tokenizer that the contents of a tokenizer.json describe, whatever file they came from: `root.file` is the source.
 * Throws EM1102 to EM1111.
 */
export function tokenizerOf(
  root: JsonSection,
  config: JsonSection | null,
  vocabSize: number,
): TokenizerModel {
  const path = root.file;
  const vocabulary = readVocabulary(root, vocabSize);
  const normalizer = readNormalizer(root);
  const pre = readPreTokenizer(root);
  const decoder = readDecoder(root);
  const added = readAddedTokens(root, vocabSize, vocabulary.idOf, normalizer);
  const replacesSpaces = normalizer.replacesSpaces || pre.replacesSpaces;
  requireSameSpelling(path, pre.byteLevel, replacesSpaces, vocabulary, decoder);
  const scores = 'scores' in vocabulary ? vocabulary.scores : null;
  if (scores !== null && !pre.replacesSpaces) {
    throw new EmbedError('EM1104', { where: path, why: 'a Unigram vocabulary without Metaspace' });
  }
  const ids = new Map(vocabulary.idOf);
  for (const [id, content] of added.contentOf) ids.set(content, id);

  const text = decodedTexts(vocabSize, vocabulary, added, decoder);
  const silent = new Uint8Array(vocabSize);
  for (const { id, special } of added.tokens) silent[id] = special ? 1 : 0;
  return {
    source: path,
    vocabSize,
    passing: 0,
    text,
    silent,
    normalizeNfc: normalizer.nfc,
    characterMap: normalizer.characterMap,
    spaces: spaceRules(normalizer.spaces, pre.splitsAtWhite, scores !== null),
    preTokenizer: pre.preTokenizer,
    prefixSpace: normalizer.prepends ? 'always' : pre.prefixSpace,
    symbols: pre.byteLevel ? 'bytes' : 'characters',
    byteIds: byteTokens(vocabulary, pre.byteLevel),
    characterIds: pre.byteLevel ? new Map() : characterTokens(vocabulary.idOf, replacesSpaces),
    unknownId: vocabulary.unknownId,
    fuseUnknown: vocabulary.fuseUnknown,
    merges: buildMergeTable(vocabSize, vocabulary.merges),
    ...wordsAndScores(vocabulary, scores, text, added),
    added: added.tokens,
    bosId: readBeginToken(root, config, (token) => ids.get(token)),
    stripFirstSpace: decoder.stripsFirstSpace,
  };
}

function readVocabulary(root: JsonSection, vocabSize: number): BpeVocabulary | UnigramVocabulary {
  const model = root.section('model');
  return model?.text('type') === 'Unigram'
    ? readUnigramVocabulary(model, vocabSize)
    : readBpeVocabulary(root, vocabSize);
}

/** WhitespaceSplit leaves one space between words, whatever white space was there. */
function spaceRules(rules: SpaceRules, splitsAtWhite: boolean, readsMark: boolean): SpaceRules {
  if (!splitsAtWhite) return { ...rules, readsMark };
  return { trimsLeft: true, trimsRight: true, trimsWhite: true, collapses: 'white', readsMark };
}

/** The object that a JSON file of a tokenizer holds. Throws EM1102. */
export function readSection(path: string): JsonSection {
  const file = BoundedFile.open(path);
  try {
    if (file.size > mostBytes) {
      const why = `has ${file.size} bytes; at most ${mostBytes} are read`;
      throw new EmbedError('EM1102', { where: path, why });
    }
    const bytes = new Uint8Array(file.size);
    file.read(0, bytes);
    return new JsonSection(path, '', parseJsonObject(bytes, path, 'EM1102'));
  } finally {
    file.close();
  }
}

/**
 * Encoding and decoding must agree on how tokens are written: in the byte alphabet, or with U+2581 for
 * spaces.
 */
function requireSameSpelling(
  path: string,
  byteLevel: boolean,
  replacesSpaces: boolean,
  vocabulary: BpeVocabulary,
  decoder: DecoderSettings,
): void {
  const refuse = (why: string) => new EmbedError('EM1109', { where: path, why });
  if (byteLevel !== decoder.byteLevel) throw refuse('ByteLevel in pre_tokenizer or decoder, but not in both');
  if (replacesSpaces !== decoder.replacesSpaces) {
    throw refuse('spaces are replaced by U+2581 when encoding or when decoding, but not both');
  }
  const where = `${path}, model`;
  if (vocabulary.ignoreMerges && !byteLevel) {
    throw new EmbedError('EM1103', { where, why: 'ignore_merges without ByteLevel' });
  }
  if (vocabulary.byteFallback && byteLevel) {
    throw new EmbedError('EM1103', { where, why: 'byte_fallback with ByteLevel' });
  }
  if (replacesSpaces && !vocabulary.idOf.has(spaceCharacter)) {
    throw new EmbedError('EM1106', {
      where,
      why: 'the vocabulary lacks U+2581, which spaces are replaced by',
    });
  }
}

const byteName = /^<0x([0-9A-Fa-f]{2})>$/;

/**
 * What each id decodes to. Added tokens decode to their content, whatever alphabet the others are written in.
 */
function decodedTexts(
  vocabSize: number,
  vocabulary: BpeVocabulary,
  added: AddedTokens,
  decoder: DecoderSettings,
): Uint8Array[] {
  const texts = new Array<Uint8Array>(vocabSize).fill(new Uint8Array(0));
  const decoded = (token: string): Uint8Array => {
    const byte = decoder.bytesByName ? byteName.exec(token) : null;
    if (byte) return Uint8Array.of(Number.parseInt(byte[1], 16));
    return utf8(decoder.replacesSpaces ? token.replaceAll(spaceCharacter, ' ') : token);
  };
  for (const [token, id] of vocabulary.idOf) {
    const bytes = decoder.byteLevel ? bytesOfToken(token) : null;
    texts[id] = bytes ?? decoded(token);
  }
  for (const [id, content] of added.contentOf) texts[id] = decoded(content);
  return texts;
}

/** The token of every byte, by the byte alphabet or by name: -1 where there is none. */
function byteTokens({ idOf, byteFallback }: BpeVocabulary, byteLevel: boolean): Int32Array {
  const named = (byte: number) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
  const token = byteLevel ? characterOfByte : named;
  const available = byteLevel || byteFallback;
  return Int32Array.from({ length: 256 }, (_, byte) => (available ? (idOf.get(token(byte)) ?? -1) : -1));
}

function characterTokens(idOf: ReadonlyMap<string, number>, replacesSpaces: boolean): Map<number, number> {
  const ids = new Map<number, number>();
  for (const [token, id] of idOf) {
    const code = token.codePointAt(0) ?? 0;
    if (token === String.fromCodePoint(code)) ids.set(code, id);
  }
  if (replacesSpaces) ids.set(0x20, idOf.get(spaceCharacter)!);
  return ids;
}

function wordsAndScores(
  vocabulary: BpeVocabulary,
  scores: readonly number[] | null,
  text: readonly Uint8Array[],
  added: AddedTokens,
): Pick<TokenizerModel, 'words' | 'unigram'> {
  if (scores === null) {
    return {
      words: vocabulary.ignoreMerges ? wordsInOrder(vocabulary, text) : new Uint32Array(0),
      unigram: null,
    };
  }
  const pieces = new Uint32Array(
    [...vocabulary.idOf]
      .filter(([token, id]) => {
        const isByte = vocabulary.byteFallback && byteName.test(token);
        return (
          token !== '' &&
          !isByte &&
          !token.includes(' ') &&
          id !== vocabulary.unknownId &&
          !added.contentOf.has(id)
        );
      })
      .map(([, id]) => id),
  ).sort((a, b) => Buffer.compare(text[a]!, text[b]!));
  return { words: pieces, unigram: unigramScores(text.map((_, id) => scores[id] ?? null)) };
}

/** Ids of the vocabulary that are written in the byte alphabet, ascending by the bytes they stand for. */
function wordsInOrder(vocabulary: BpeVocabulary, text: readonly Uint8Array[]): Uint32Array {
  const ids: number[] = [];
  for (const [token, id] of vocabulary.idOf) {
    const bytes = bytesOfToken(token);
    if (bytes && bytes.length > 0 && Buffer.compare(bytes, text[id]) === 0) ids.push(id);
  }
  return Uint32Array.from(ids.sort((a, b) => Buffer.compare(text[a], text[b]) || a - b));
}
