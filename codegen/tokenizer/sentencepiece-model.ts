/** tokenizer.model: the protocol buffer of SentencePiece. */
import { BoundedFile } from '../checkpoint/bounded-file.js';
import { EmbedError } from '../diagnostics/error.js';
import { CharacterMap } from './character-map.js';
import type { JsonSection } from './json-section.js';
import { ProtobufReader } from './protobuf-reader.js';
import { type Piece, pieceType, scoredTokenizer } from './scored-tokenizer.js';
import type { TokenizerModel } from './tokenizer.js';

const mostBytes = 2 ** 27;
const mostPieces = 2 ** 20;
const mostPieceBytes = 1024;

const kinds: Readonly<Record<number, 'unigram' | 'merge'>> = { 1: 'unigram', 2: 'merge' };
const modelTypes: Readonly<Record<number, string>> = { 3: 'word', 4: 'char' };

interface Model {
  readonly pieces: readonly Piece[];
  readonly modelType: number;
  readonly bosId: number;
  readonly spacesBehind: boolean;
  /** precompiled_charsmap. */
  readonly characterMap: Uint8Array;
  readonly addDummyPrefix: boolean;
  readonly removeExtraSpaces: boolean;
}

/**
 * Reads a tokenizer.model (sentencepiece_model.proto of https://github.com/google/sentencepiece) of the BPE or Unigram type. `config`
 * is the tokenizer_config.json beside it: its add_bos_token decides whether a text begins with the bos token, which is so
 * where nothing says it. Throws EM1102 (damaged), EM1103 (other types), EM1105, EM1106, EM1108 (normalization).
 */
export function openSentencePiece(
  path: string,
  config: JsonSection | null,
  vocabSize: number,
): TokenizerModel {
  const model = parseModel(path);
  const by = kinds[model.modelType];
  if (by === undefined) {
    const type = modelTypes[model.modelType] ?? `of type ${model.modelType}`;
    throw new EmbedError('EM1103', { where: path, why: `the model is ${type}; supported: BPE, Unigram` });
  }
  if (model.spacesBehind) {
    throw new EmbedError('EM1108', {
      where: path,
      why: 'treat_whitespace_as_suffix: spaces belong to the word before',
    });
  }
  const wantsBos = config?.flag('add_bos_token', true) ?? true;
  const bosId = wantsBos && model.bosId >= 0 && model.bosId < model.pieces.length ? model.bosId : null;
  return scoredTokenizer(model.pieces, {
    source: path,
    vocabSize,
    bosId,
    prefixSpace: model.addDummyPrefix,
    by,
    characterMap: CharacterMap.parse(model.characterMap, path),
    removesExtraSpaces: model.removeExtraSpaces,
  });
}

function readWhole(path: string): Uint8Array {
  const file = BoundedFile.open(path);
  try {
    if (file.size > mostBytes) {
      const why = `has ${file.size} bytes; at most ${mostBytes} are read`;
      throw new EmbedError('EM1102', { where: path, why });
    }
    const bytes = new Uint8Array(file.size);
    file.read(0, bytes);
    return bytes;
  } finally {
    file.close();
  }
}

/** ModelProto: 1 pieces, 2 trainer_spec {3 model_type, 24 treat_whitespace_as_suffix, 41 bos_id}, 3 normalizer_spec; absent fields have their defaults. */
function parseModel(path: string): Model {
  const pieces: Piece[] = [];
  let trainer: Trainer = { modelType: 1, bosId: 1, spacesBehind: false };
  let normalizer: Normalizer = {
    characterMap: new Uint8Array(0),
    addDummyPrefix: true,
    removeExtraSpaces: true,
  };
  const parts = new Set<number>();
  const message = new ProtobufReader(readWhole(path), path);
  for (const field of message.fields()) {
    parts.add(field.number);
    if (field.number === 1) {
      if (pieces.length === mostPieces) throw message.damaged(`has more than ${mostPieces} tokens`);
      pieces.push(parsePiece(message.nested(field)));
    } else if (field.number === 2) trainer = parseTrainer(message.nested(field), trainer);
    else if (field.number === 3) normalizer = parseNormalizer(message.nested(field), normalizer);
  }
  // Every trainer writes all three; a file that was cut between them would otherwise mean something else.
  for (const [number, name] of [
    [1, 'tokens'],
    [2, 'trainer_spec'],
    [3, 'normalizer_spec'],
  ] as const) {
    if (!parts.has(number)) throw message.damaged(`has no ${name}`);
  }
  return { pieces, ...trainer, ...normalizer };
}

function parsePiece(message: ProtobufReader): Piece {
  let piece: Piece = { bytes: new Uint8Array(0), score: 0, type: pieceType.normal };
  for (const field of message.fields()) {
    if (field.number === 1) piece = { ...piece, bytes: message.bytes(field) };
    else if (field.number === 2) piece = { ...piece, score: message.float(field) };
    else if (field.number === 3) piece = { ...piece, type: message.integer(field) };
  }
  if (piece.bytes.length > mostPieceBytes) throw message.damaged(`a token has ${piece.bytes.length} bytes`);
  if (Number.isNaN(piece.score)) throw message.damaged('the score of a token is not a number');
  if (piece.type < 1 || piece.type > 6) throw message.damaged(`a token is of type ${piece.type}`);
  return piece;
}

type Trainer = Pick<Model, 'modelType' | 'bosId' | 'spacesBehind'>;

function parseTrainer(message: ProtobufReader, defaults: Trainer): Trainer {
  let trainer = defaults;
  for (const field of message.fields()) {
    if (field.number === 3) trainer = { ...trainer, modelType: message.integer(field) };
    else if (field.number === 24) trainer = { ...trainer, spacesBehind: message.integer(field) !== 0 };
    else if (field.number === 41) trainer = { ...trainer, bosId: message.integer(field) };
  }
  return trainer;
}

type Normalizer = Pick<Model, 'characterMap' | 'addDummyPrefix' | 'removeExtraSpaces'>;

function parseNormalizer(message: ProtobufReader, defaults: Normalizer): Normalizer {
  let normalizer = defaults;
  for (const field of message.fields()) {
    if (field.number === 2) normalizer = { ...normalizer, characterMap: message.bytes(field) };
    else if (field.number === 3) normalizer = { ...normalizer, addDummyPrefix: message.integer(field) !== 0 };
    else if (field.number === 4)
      normalizer = { ...normalizer, removeExtraSpaces: message.integer(field) !== 0 };
  }
  return normalizer;
}
