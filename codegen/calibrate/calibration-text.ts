/** Where calibration text comes from: a file the user names, or what comes with the bundled model. */
import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { EmbedError } from '../diagnostics/error.js';
import { encodeText } from '../tokenizer/encode-text.js';
import type { TokenizerModel } from '../tokenizer/tokenizer.js';
import type { CalibrationText } from './calibrate.js';

/** Bytes that are read of a calibration file: far more than calibration uses. */
const MAX_BYTES = 4 << 20;

function readHead(path: string): Buffer {
  const bytes = Buffer.alloc(MAX_BYTES);
  try {
    // Looked at before it is opened, because opening a named pipe waits for a writer.
    if (!statSync(path).isFile()) throw new Error('it is not a regular file');
    const handle = openSync(path, 'r');
    try {
      return bytes.subarray(0, readSync(handle, bytes, 0, MAX_BYTES, 0));
    } finally {
      closeSync(handle);
    }
  } catch (cause) {
    throw new EmbedError('EM2005', {
      where: path,
      why: cause instanceof Error ? cause.message : String(cause),
      cause,
    });
  }
}

/** Ids of a .u16 file (little-endian uint16) or of a text file; checked against the vocabulary. Throws EM2005. */
export function readCalibration(
  path: string,
  tokenizer: TokenizerModel | null,
  vocabSize: number,
): CalibrationText {
  const bytes = readHead(path);
  const refuse = (why: string): never => {
    throw new EmbedError('EM2005', { where: path, why });
  };
  if (bytes.length < 2) return refuse('it is empty');
  let ids: Int32Array;
  if (path.endsWith('.u16')) {
    ids = Int32Array.from({ length: bytes.length >> 1 }, (_, i) => bytes.readUInt16LE(2 * i));
  } else {
    if (tokenizer === null)
      return refuse('the model has no tokenizer, so only a .u16 file of ids can be used');
    // A character cut at the limit of what is read becomes U+FFFD, one token of thousands.
    ids = encodeText(tokenizer, bytes, { bos: true, special: true });
  }
  const wrong = ids.findIndex((id) => id >= vocabSize);
  if (wrong >= 0) return refuse(`id ${ids[wrong]} at ${wrong} is outside the vocabulary of ${vocabSize}`);
  return { source: basename(path), ids };
}

/** The calibration ids in a model's own folder, if there are any. */
export function ownCalibration(modelPath: string, vocabSize: number): CalibrationText | null {
  const path = join(modelPath, 'calibration.u16');
  return existsSync(path) ? readCalibration(path, null, vocabSize) : null;
}
