/** A task benchmark: prompts with the completion that is expected, a JSON object a line. */
import { parseJsonObject } from '../checkpoint/json-object.js';
import { readSmallFile } from '../commands/read-small-file.js';
import { EmbedError } from '../diagnostics/error.js';
import { encodeText } from '../tokenizer/encode-text.js';
import type { TokenizerModel } from '../tokenizer/tokenizer.js';

export interface TaskItem {
  readonly prompt: readonly number[];
  /** At least one token. A model solves the item when its greedy continuation begins with all of them. */
  readonly completion: readonly number[];
}

const MOST_BYTES = 16 << 20;
const MOST_ITEMS = 20_000;

/**
 * Reads lines of {"prompt": "...", "completion": "..."}. Both are encoded as one text, since tokens may span the place where they
 * meet; the completion is what differs from the prompt alone. Throws EM2021, naming the line.
 */
export function readTask(path: string, tokenizer: TokenizerModel | null, context: number): TaskItem[] {
  const refuse = (why: string) => new EmbedError('EM2021', { where: path, why });
  if (tokenizer === null) throw refuse('the bundle was built without a tokenizer');
  const lines = Buffer.from(readSmallFile(path, MOST_BYTES, 'EM2021'))
    .toString('utf8')
    .split(/\r?\n/);
  const items = lines.flatMap((line, index) => {
    if (line.trim() === '') return [];
    const item = parseItem(line, `${path}:${index + 1}`, tokenizer);
    const length = item.prompt.length + item.completion.length;
    if (length > context) {
      throw refuse(`line ${index + 1} has ${length} tokens, the context ${context} positions`);
    }
    return [item];
  });
  if (items.length === 0) throw refuse('there is no item in it');
  if (items.length > MOST_ITEMS)
    throw refuse(`it has ${items.length} items; at most ${MOST_ITEMS} are taken`);
  return items;
}

function parseItem(line: string, where: string, tokenizer: TokenizerModel): TaskItem {
  const { prompt, completion } = parseJsonObject(Buffer.from(line), where, 'EM2021');
  if (typeof prompt !== 'string' || typeof completion !== 'string') {
    throw new EmbedError('EM2021', { where, why: 'prompt and completion must be strings' });
  }
  const encode = (text: string) => [...encodeText(tokenizer, text, { bos: true })];
  const alone = encode(prompt);
  const whole = encode(prompt + completion);
  const split = whole.findIndex((id, i) => id !== alone[i]);
  if (split < 1) {
    const why = split < 0 ? 'the completion adds no token' : 'the prompt has no token';
    throw new EmbedError('EM2021', { where, why });
  }
  return { prompt: whole.slice(0, split), completion: whole.slice(split) };
}
