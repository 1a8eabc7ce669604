/** The model of a build: its checkpoint, its tokenizer and what it is called. */
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EmbedError } from '../diagnostics/error.js';
import type { Folds } from '../quantize/folds/folds.js';
import { longestDecodedText, openTokenizer, type TokenizerModel } from '../tokenizer/tokenizer.js';
import type { KeptVocabulary } from '../vocabulary/prune-vocabulary.js';
import type { Checkpoint } from './checkpoint.js';
import type { CrystalCompletion } from './crystal-completion.js';
import { openCheckpoint } from './open.js';

/** What stands in the manifest for the model that comes with this package. */
export const BUNDLED = 'bundled';

export interface ModelSource {
  readonly name: string;
  /** As typed, or "bundled". */
  readonly source: string;
  readonly path: string;
  readonly checkpoint: Checkpoint;
  /** What a .crystal file left out and this source was opened with. */
  readonly completion?: CrystalCompletion;
  /** null where none was asked for. */
  readonly tokenizer: TokenizerModel | null;
  /** Token that begins a text, where the tokenizer's configuration says so. */
  readonly bosId: number | null;
  /** Where the vocabulary was pruned: which tokens of the checkpoint there are. */
  readonly vocabulary?: KeptVocabulary;
  /** What was folded into its weights, if anything was. */
  readonly folds?: Folds;
}

/** Folder of the bundled model. */
export const bundledModelPath = fileURLToPath(new URL('../../../models/os-nano/', import.meta.url));

/**
 * Opens the checkpoint at `path`, or the bundled model for null or "bundled", and its tokenizer unless `withTokenizer` is false.
 * `completion` is what a .crystal file lacks. The caller closes the checkpoint. Throws EM1101 where there is no tokenizer, and the errors of the readers.
 */
export function openModelSource(
  path: string | null,
  withTokenizer = true,
  completion: CrystalCompletion | null = null,
): ModelSource {
  const source = path ?? BUNDLED;
  const place = modelPlace(path);
  const checkpoint = openCheckpoint(place, completion);
  try {
    const tokenizer = withTokenizer ? tokenizerOf(place, checkpoint.config.vocabSize) : null;
    return {
      name: checkpoint.name,
      source,
      path: place,
      checkpoint,
      tokenizer,
      bosId: tokenizer?.bosId ?? null,
      ...(completion === null ? {} : { completion }),
    };
  } catch (error) {
    checkpoint.close();
    throw error;
  }
}

/** Where the model lies that `path` names; the bundled one for null and its name. */
export function modelPlace(path: string | null): string {
  return path === null || path === BUNDLED ? bundledModelPath : resolve(path);
}

function tokenizerOf(place: string, vocabSize: number): TokenizerModel {
  const lookup = openTokenizer(place, vocabSize);
  if (lookup.tokenizer === null) throw new EmbedError('EM1101', { where: place, why: lookup.reason });
  refuseLongTokens(lookup.tokenizer);
  return lookup.tokenizer;
}

/** Bytes of text a record of the runner holds: RECORD_TEXT_BYTES of templates/runner/records.h. */
const RECORD_TEXT_BYTES = 1024;

function refuseLongTokens(tokenizer: TokenizerModel): void {
  const longest = longestDecodedText(tokenizer);
  if (longest <= RECORD_TEXT_BYTES) return;
  const why = `a token can become ${longest} bytes of text, ${RECORD_TEXT_BYTES} is the limit`;
  throw new EmbedError('EM1113', { where: tokenizer.source, why });
}
