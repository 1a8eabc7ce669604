/** Vocabulary pruning: a model for the tokens that a text needs. */
import { BoundedFile } from '../checkpoint/bounded-file.js';
import type { ModelSource } from '../checkpoint/model-source.js';
import { EmbedError } from '../diagnostics/error.js';
import { keptTokens } from './kept-tokens.js';
import { PrunedCheckpoint } from './pruned-checkpoint.js';
import { prunedTokenizer } from './pruned-tokenizer.js';

const mostTextBytes = 1 << 28;

/** What a manifest says of a pruned vocabulary. */
export interface KeptVocabulary {
  /** Tokens of the checkpoint. */
  readonly fullSize: number;
  /** The checkpoint's id of every token, ascending: the id map. */
  readonly ids: readonly number[];
}

/**
 * The source with the tokens that the text in a file needs. Throws EM1140 where the file cannot be read or there is no
 * tokenizer, EM1112 for a text that the vocabulary cannot encode.
 */
export function pruneToText(source: ModelSource, path: string): ModelSource {
  if (source.tokenizer === null) {
    throw new EmbedError('EM1140', {
      where: '--prune-vocab',
      why: 'the model has no tokenizer, or --no-tokenizer is set',
    });
  }
  if (source.tokenizer.passing > 0) {
    const why = `${source.tokenizer.source} has cut the vocabulary already`;
    throw new EmbedError('EM1140', { where: '--prune-vocab', why });
  }
  const { bosId, eosIds } = source.checkpoint.config;
  const ends = bosId === null ? eosIds : [bosId, ...eosIds];
  return withTokens(source, keptTokens(source.tokenizer, readText(path), ends));
}

/** The source with the tokens that a manifest names. Throws EM1141 where they cannot be those of this checkpoint. */
export function pruneToIds(source: ModelSource, vocabulary: KeptVocabulary, where: string): ModelSource {
  const { vocabSize } = source.checkpoint.config;
  const { fullSize, ids } = vocabulary;
  const ascending = ids.every(
    (id, i) => Number.isInteger(id) && id >= 0 && id < vocabSize && id > (ids[i - 1] ?? -1),
  );
  if (fullSize !== vocabSize || ids.length === 0 || !ascending) {
    const why = `vocabulary has ${ids.length} of ${fullSize} tokens; the checkpoint has ${vocabSize}, ids must ascend below that`;
    throw new EmbedError('EM1141', { where, why });
  }
  return withTokens(source, Int32Array.from(ids));
}

function withTokens(source: ModelSource, kept: Int32Array): ModelSource {
  const tokenizer = source.tokenizer === null ? null : prunedTokenizer(source.tokenizer, kept);
  return {
    ...source,
    checkpoint: new PrunedCheckpoint(source.checkpoint, kept),
    tokenizer,
    bosId: tokenizer?.bosId ?? null,
    vocabulary: { fullSize: source.checkpoint.config.vocabSize, ids: [...kept] },
  };
}

/** What pruning did, in one line: how much of the vocabulary stays, and what its rows took. */
export function describePruning(full: ModelSource, pruned: ModelSource): string {
  const { vocabSize, hiddenSize, tiedEmbedding } = full.checkpoint.config;
  const kept = pruned.checkpoint.config.vocabSize;
  const saved = (vocabSize - kept) * hiddenSize * (tiedEmbedding ? 1 : 2);
  const share = ((100 * kept) / vocabSize).toFixed(1);
  return `vocabulary: ${kept} of ${vocabSize} tokens stay (${share} %); ${saved} parameters less; other text costs more tokens`;
}

function readText(path: string): Uint8Array {
  let file: BoundedFile | null = null;
  try {
    file = BoundedFile.open(path);
    if (file.size === 0 || file.size > mostTextBytes) {
      throw new EmbedError('EM1140', {
        where: path,
        why: `has ${file.size} bytes; 1 to ${mostTextBytes} are read`,
      });
    }
    const bytes = new Uint8Array(file.size);
    file.read(0, bytes);
    return bytes;
  } catch (cause) {
    if (cause instanceof EmbedError && cause.code === 'EM1001') {
      throw new EmbedError('EM1140', { where: path, why: cause.why, cause });
    }
    throw cause;
  } finally {
    file?.close();
  }
}
