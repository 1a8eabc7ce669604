/** Compares tokenizers that were read from different files. */

import type { Test } from 'tap';
import { decodeTokens } from '../../../codegen/tokenizer/decode-tokens.js';
import { encodeText } from '../../../codegen/tokenizer/encode-text.js';
import type { TokenizerModel } from '../../../codegen/tokenizer/tokenizer.js';

/** Texts that tokenizers treat in their own ways. */
export const texts = [
  'Once upon a time, there was a little girl named Lily.',
  "  two spaces,\ttabs\nand lines; don't we'll",
  'l’été naïve café 日本語 한국어 😀 \u0301 1234567',
  ' ',
  '',
  'x▁y',
];

export function requireSameIds(
  t: Test,
  found: TokenizerModel,
  expected: TokenizerModel,
  more: readonly string[] = [],
): void {
  for (const text of [...texts, ...more]) {
    const ids = encodeText(found, text);
    t.strictSame([...ids], [...encodeText(expected, text)], JSON.stringify(text.slice(0, 40)));
    t.equal(decodeTokens(found, ids), decodeTokens(expected, ids));
  }
}
