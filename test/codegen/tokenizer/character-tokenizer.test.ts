/** Characters that training scripts saved. */

import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { bundledModelPath } from '../../../codegen/checkpoint/model-source.js';
import { decodeTokens } from '../../../codegen/tokenizer/decode-tokens.js';
import { encodeText } from '../../../codegen/tokenizer/encode-text.js';
import { openTokenizer } from '../../../codegen/tokenizer/tokenizer.js';
import { expectError } from '../checkpoint/expect-error.js';
import { SavedTensor, writePytorch } from '../checkpoint/pytorch/pytorch-writer.js';
import { needsShared, sharedPath } from './shared-data.js';
import { temporaryFolder } from './synthetic-tokenizers.js';

t.test('characters that a training script saved', (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'ckpt.pt');
  const model = { w: new SavedTensor('FloatStorage', new Uint8Array(4), [1]) };
  const save = (stoi: unknown) => writeFileSync(path, writePytorch({ model, stoi }).bytes);
  save({ a: 0, b: 1, é: 2, ' ': 3 });
  const { tokenizer } = openTokenizer(path, 4);
  t.strictSame([...encodeText(tokenizer!, 'b éa')], [1, 3, 2, 0]);
  t.equal(decodeTokens(tokenizer!, [1, 3, 2, 0]), 'b éa');
  expectError(t, 'EM1112', /no token for "x"/, () => encodeText(tokenizer!, 'ax'));
  save({ ab: 0 });
  expectError(t, 'EM1102', /stoi has "ab" with id 0/, () => openTokenizer(path, 4));
  save({ a: 4 });
  expectError(t, 'EM1105', /stoi has id 4/, () => openTokenizer(path, 4));
  save({ a: 1, b: 1 });
  expectError(t, 'EM1106', /two characters have id 1/, () => openTokenizer(path, 4));
  writeFileSync(path, writePytorch({ model }).bytes);
  t.match(openTokenizer(path, 4), {
    tokenizer: null,
    reason: /no tokenizer.json, tokenizer.model or vocab.json/,
  });
  copyFileSync(join(bundledModelPath, 'tokenizer.json'), join(folder, 'tokenizer.json'));
  t.equal(openTokenizer(path, 4096).tokenizer?.source, join(folder, 'tokenizer.json'));
  t.end();
});

t.test('the characters of a public checkpoint', needsShared('models/slm4096-gpt/ckpt.pt'), (t) => {
  const { tokenizer } = openTokenizer(sharedPath('models', 'slm4096-gpt', 'ckpt.pt'), 54);
  t.strictSame([...encodeText(tokenizer!, 'az\n?')], [28, 53, 0, 9]);
  t.end();
});
