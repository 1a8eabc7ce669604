/** Prompts that the float model and its quantization both go on from. */
import { readSmallFile } from '../commands/read-small-file.js';
import { EmbedError } from '../diagnostics/error.js';
import type { EvaluationWindows } from '../evaluate/evaluation-text.js';
import { decodeTokens } from '../tokenizer/decode-tokens.js';
import { encodeText } from '../tokenizer/encode-text.js';
import type { TokenizerModel } from '../tokenizer/tokenizer.js';

export interface Prompt {
  /** null where the model has no tokenizer. */
  readonly text: string | null;
  readonly ids: readonly number[];
}

const MOST_BYTES = 1 << 20;
const MOST_PROMPTS = 1000;
/** Prompts that are taken of an evaluation text, further ones behind each of them, and ids of each. */
const TAKEN_PROMPTS = 32;
const FURTHER_PLACES = 3;
const TAKEN_IDS = 16;

/**
 * The prompts of a text file, one a line; empty lines do not count. Throws EM2020, also for a prompt that leaves no room in the
 * context.
 */
export function readPrompts(path: string, tokenizer: TokenizerModel | null, context: number): Prompt[] {
  const refuse = (why: string) => new EmbedError('EM2020', { where: path, why });
  if (tokenizer === null) throw refuse('the bundle was built without a tokenizer');
  const bytes = readSmallFile(path, MOST_BYTES, 'EM2020');
  const lines = new TextDecoder().decode(bytes).split(/\r?\n/);
  const prompts = lines.flatMap((text, index) => {
    if (text.trim() === '') return [];
    const ids = [...encodeText(tokenizer, text, { bos: true, special: true })];
    if (ids.length >= context) {
      throw refuse(`line ${index + 1} has ${ids.length} tokens, the context ${context} positions`);
    }
    return ids.length === 0 ? [] : [{ text, ids }];
  });
  if (prompts.length === 0) throw refuse('there is no prompt in it');
  if (prompts.length > MOST_PROMPTS) {
    throw refuse(`it has ${prompts.length} prompts; at most ${MOST_PROMPTS} are taken`);
  }
  return prompts;
}

/** Prompts that outputs are compared behind. */
export interface PromptSet {
  readonly prompts: readonly Prompt[];
  /** What to go on with where those alone would fail a model, by chance maybe. */
  readonly further: readonly Prompt[];
}

/**
 * Beginnings of windows of the evaluation text, spread evenly over it: 32 of 16 ids, or of half a window where that is less. The
 * further ones begin at three places between each and the next, if there is room for them.
 */
export function takePrompts({ ids, window }: EvaluationWindows, tokenizer: TokenizerModel | null): PromptSet {
  const windows = ids.length / window;
  const count = Math.min(TAKEN_PROMPTS, windows);
  const length = Math.max(1, Math.min(TAKEN_IDS, window >> 1));
  const begins = Array.from({ length: count }, (_, i) => Math.floor((i * windows) / count) * window);
  const step = Math.floor(Math.floor(windows / count) * (window / (FURTHER_PLACES + 1)));
  const places = step < length ? [] : Array.from({ length: FURTHER_PLACES }, (_, k) => (k + 1) * step);
  const promptAt = (begin: number) => {
    const own = [...ids.subarray(begin, begin + length)];
    return { text: tokenizer === null ? null : decodeTokens(tokenizer, own), ids: own };
  };
  return {
    prompts: begins.map(promptAt),
    further: begins.flatMap((begin) => places.map((place) => promptAt(begin + place))),
  };
}
