/** The text of an evaluation: ids from a text or an id file, cut into windows. */
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { EmbedError } from '../diagnostics/error.js';
import { encodeText } from '../tokenizer/encode-text.js';
import type { TokenizerModel } from '../tokenizer/tokenizer.js';

export interface EvaluationText {
  readonly name: string;
  /** SHA-256 (hex) of the file. */
  readonly sha256: string;
  readonly ids: Int32Array;
}

export interface EvaluationWindows {
  /** Ids of whole windows, one after another. */
  readonly ids: Int32Array;
  /** Ids in a window. */
  readonly window: number;
  /** Ids at the end that fill no window. */
  readonly left: number;
}

/** Enough for 20 million tokens, days of evaluation. */
const LARGEST_FILE = 64e6;

function readBounded(path: string): Buffer {
  try {
    const found = statSync(path);
    if (!found.isFile()) throw new EmbedError('EM2012', { where: path, why: 'it is not a regular file' });
    const { size } = found;
    if (size > LARGEST_FILE) {
      const why = `it has ${size} bytes; an evaluation text has at most ${LARGEST_FILE}`;
      throw new EmbedError('EM2012', { where: path, why });
    }
    return readFileSync(path);
  } catch (cause) {
    if (cause instanceof EmbedError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new EmbedError('EM2012', { where: path, why, cause });
  }
}

const sha256Of = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** A line that separates documents, with the line ends and empty lines around it. */
const SEPARATOR = /\n*^<\|endoftext\|>$\n*/m;

/**
 * Ids of a text file. Documents are encoded each by itself and separated by the token that ends a text, where the model has one;
 * `<|endoftext|>` on a line of its own stands between them. Special tokens written elsewhere are plain text, and no token is put
 * before the first document. Throws EM2012.
 */
export function readText(path: string, tokenizer: TokenizerModel, eosIds: readonly number[]): EvaluationText {
  const bytes = readBounded(path);
  // Latin-1 gives every byte a character, so that bytes that are no UTF-8 come through as they are.
  const documents = bytes.toString('latin1').replaceAll('\r\n', '\n').split(SEPARATOR);
  const ids: number[] = [];
  documents.forEach((document, i) => {
    if (i > 0 && eosIds.length > 0) ids.push(eosIds[0]!);
    for (const id of encodeText(tokenizer, Buffer.from(document, 'latin1'))) ids.push(id);
  });
  return { name: basename(path), sha256: sha256Of(bytes), ids: Int32Array.from(ids) };
}

/** Ids of a file of little-endian uint16. Throws EM2012, also for an id outside the vocabulary. */
export function readIds(path: string, vocabSize: number): EvaluationText {
  const bytes = readBounded(path);
  if (bytes.length % 2 !== 0) {
    throw new EmbedError('EM2012', {
      where: path,
      why: `its size, ${bytes.length} bytes, is no whole number of uint16`,
    });
  }
  const ids = Int32Array.from({ length: bytes.length / 2 }, (_, i) => bytes.readUInt16LE(2 * i));
  const wrong = ids.findIndex((id) => id >= vocabSize);
  if (wrong >= 0) {
    const why = `id ${ids[wrong]} at ${wrong} is outside the vocabulary of ${vocabSize}`;
    throw new EmbedError('EM2012', { where: path, why });
  }
  return { name: basename(path), sha256: sha256Of(bytes), ids };
}

/**
 * Windows that do not overlap; ids at the end that fill none are left out, unless there is no other window. Throws EM2011 for
 * fewer than two ids.
 *
 * @param window ids in a window, at least 2
 * @param limit most ids to take of the text, or null
 */
export function cutWindows(text: EvaluationText, window: number, limit: number | null): EvaluationWindows {
  const ids = text.ids.subarray(0, limit ?? text.ids.length);
  if (ids.length < 2) {
    const why = `${ids.length} tokens; a token is judged by those before it`;
    throw new EmbedError('EM2011', { where: text.name, why });
  }
  const width = Math.min(window, ids.length);
  const whole = ids.length - (ids.length % width);
  return { ids: ids.subarray(0, whole), window: width, left: ids.length - whole };
}
