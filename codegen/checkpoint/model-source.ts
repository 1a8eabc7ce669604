/** The model of a build: its checkpoint, its tokenizer and what it is called. */
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EmbedError } from '../diagnostics/error.js';
import { longestDecodedText, openTokenizer, type TokenizerModel } from '../tokenizer/tokenizer.js';
import type { Checkpoint } from './checkpoint.js';
import { openCheckpoint } from './open.js';

/** What stands in the manifest for the model that comes with this package. */
export const BUNDLED = 'bundled';

export interface ModelSource {
  readonly name: string;
  /** As typed, or "bundled". */
  readonly source: string;
  readonly path: string;
  readonly checkpoint: Checkpoint;
  readonly tokenizer: TokenizerModel | null;
  /** Why there is no tokenizer, or null. */
  readonly tokenizerMissing: string | null;
  /** Token that begins a text, where the tokenizer's configuration says so. */
  readonly bosId: number | null;
}

/** Folder of the bundled model. */
export const bundledModelPath = fileURLToPath(new URL('../../../models/os-nano/', import.meta.url));

/** Opens the checkpoint at `path`, or the bundled model for null or "bundled". The caller closes the checkpoint. */
export function openModelSource(path: string | null): ModelSource {
  const source = path ?? BUNDLED;
  const place = source === BUNDLED ? bundledModelPath : resolve(source);
  const checkpoint = openCheckpoint(place);
  try {
    const lookup = openTokenizer(place, checkpoint.config.vocabSize);
    const { tokenizer } = lookup;
    if (tokenizer !== null) refuseLongTokens(tokenizer);
    return {
      name: checkpoint.name,
      source,
      path: place,
      checkpoint,
      tokenizer,
      tokenizerMissing: lookup.tokenizer === null ? lookup.reason : null,
      bosId: tokenizer?.bosId ?? null,
    };
  } catch (error) {
    checkpoint.close();
    throw error;
  }
}

/** Bytes of text a record of the runner holds: RECORD_TEXT_BYTES of templates/runner/records.h. */
const RECORD_TEXT_BYTES = 1024;

function refuseLongTokens(tokenizer: TokenizerModel): void {
  const longest = longestDecodedText(tokenizer);
  if (longest <= RECORD_TEXT_BYTES) return;
  const why = `a token can become ${longest} bytes of text, ${RECORD_TEXT_BYTES} is the limit`;
  throw new EmbedError('EM1113', { where: tokenizer.source, why });
}
