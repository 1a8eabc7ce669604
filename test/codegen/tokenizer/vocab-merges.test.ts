/** vocab.json with merges.txt against the tokenizer.json of the same merges. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { decodeTokens } from '../../../codegen/tokenizer/decode-tokens.js';
import { encodeText } from '../../../codegen/tokenizer/encode-text.js';
import { openTokenizer } from '../../../codegen/tokenizer/tokenizer.js';
import { openTokenizerJson } from '../../../codegen/tokenizer/tokenizer-json.js';
import { openVocabMerges } from '../../../codegen/tokenizer/vocab-merges.js';
import { expectError } from '../checkpoint/expect-error.js';
import { requireSameIds } from './require-same-ids.js';
import { corpusLines, needsShared, sharedPath } from './shared-data.js';
import { byteLevelTokenizer, temporaryFolder, writeTokenizer } from './synthetic-tokenizers.js';

t.test(
  'vocabularies of GPT-2: vocab.json with merges.txt',
  needsShared('models/gpt2-tokenizer/vocab.json'),
  (t) => {
    const folder = sharedPath('models', 'gpt2-tokenizer');
    const model = openVocabMerges(join(folder, 'vocab.json'), join(folder, 'merges.txt'), 50257);
    t.strictSame([...encodeText(model, 'Hello, world!')], [15496, 11, 995, 0]);
    t.strictSame([...encodeText(model, 'a<|endoftext|>', { special: true })], [64, 50256]);
    for (const line of corpusLines('prose_validation.txt', 100)) {
      t.equal(decodeTokens(model, encodeText(model, line)), line);
    }
    t.end();
  },
);

t.test('vocab.json with merges.txt encodes as the tokenizer.json of the same merges', (t) => {
  const folder = writeTokenizer(t, byteLevelTokenizer());
  const { vocab, merges } = (
    byteLevelTokenizer() as { model: { vocab: Record<string, number>; merges: string[][] } }
  ).model;
  const size = Object.keys(vocab).length;
  const other = temporaryFolder(t);
  writeFileSync(join(other, 'vocab.json'), JSON.stringify({ ...vocab, '<|endoftext|>': size }));
  writeFileSync(
    join(other, 'merges.txt'),
    ['#version: 0.2', ...merges.map((pair) => pair.join(' ')), ''].join('\n'),
  );
  const { tokenizer } = openTokenizer(other, size + 2);
  requireSameIds(t, tokenizer!, openTokenizerJson(join(folder, 'tokenizer.json'), size + 2));
  writeFileSync(join(other, 'merges.txt'), 'a b c\n');
  expectError(t, 'EM1102', /merge 0 is "a b c"/, () => openTokenizer(other, size + 2));
  writeFileSync(join(other, 'merges.txt'), 'a zzzz\n');
  expectError(t, 'EM1107', /names "zzzz"/, () => openTokenizer(other, size + 2));
  writeFileSync(join(other, 'merges.txt'), Buffer.from([0xff, 0x0a]));
  expectError(t, 'EM1102', /not UTF-8/, () => openTokenizer(other, size + 2));
  t.end();
});
