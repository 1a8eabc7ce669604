/** tokenizer.model against other files of the same tokenizer. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { encodeText } from '../../../codegen/tokenizer/encode-text.js';
import { openLlama2cTokenizer } from '../../../codegen/tokenizer/llama2c-tokenizer.js';
import { openSentencePiece } from '../../../codegen/tokenizer/sentencepiece-model.js';
import { openTokenizerJson } from '../../../codegen/tokenizer/tokenizer-json.js';
import { expectError } from '../checkpoint/expect-error.js';
import { fuzzReader } from '../checkpoint/fuzz-reader.js';
import { requireSameIds, texts } from './require-same-ids.js';
import { syntheticPieces, writeSentencePiece } from './sentencepiece-writer.js';
import { corpusLines, needsShared, sharedPath } from './shared-data.js';
import { characterTokenizer, temporaryFolder, writeTokenizer } from './synthetic-tokenizers.js';

t.test('tokenizer.model encodes as the tokenizer.json of the same pieces', (t) => {
  const folder = writeTokenizer(t, characterTokenizer(), { add_bos_token: true, bos_token: '<s>' });
  const pieces = syntheticPieces();
  const path = join(folder, 'tokenizer.model');
  writeFileSync(path, writeSentencePiece(pieces).bytes);
  const expected = openTokenizerJson(join(folder, 'tokenizer.json'), pieces.length);
  const found = openSentencePiece(path, null, pieces.length + 3);
  requireSameIds(t, found, expected);
  t.equal(found.bosId, 1);
  const text = 'a<s>b';
  t.strictSame(
    [...encodeText(found, text, { special: true })],
    [...encodeText(expected, text, { special: true })],
  );
  t.end();
});

const llama2 = [
  'models/llama2c-tokenizer-32000/tokenizer.model',
  'models/llama2c-tokenizer-32000/tokenizer.bin',
];
t.test('the tokenizer.model of Llama 2 encodes as its tokenizer.bin', needsShared(...llama2), (t) => {
  const found = openSentencePiece(sharedPath(llama2[0]!), null, 32000);
  const expected = openLlama2cTokenizer(sharedPath(llama2[1]!), 32000);
  t.strictSame([...encodeText(found, 'Once upon a time', { bos: true })], [1, 9038, 2501, 263, 931]);
  const lines = [...corpusLines('tinystories_validation.txt', 200), ...corpusLines('os_validation.txt', 100)];
  // SentencePiece takes a written U+2581 for a space, run.c does not; run.c puts its space before an empty text, too.
  for (const text of [...texts.filter((each) => each !== '' && !each.includes('▁')), ...lines]) {
    t.strictSame([...encodeText(found, text)], [...encodeText(expected, text)], text.slice(0, 30));
  }
  t.end();
});

t.test('tokenizer.model of other types and normalizations is refused by name', (t) => {
  const pieces = syntheticPieces();
  const path = join(temporaryFolder(t), 'tokenizer.model');
  const opening =
    (options: Parameters<typeof writeSentencePiece>[1], changed = pieces) =>
    () => {
      writeFileSync(path, writeSentencePiece(changed, options).bytes);
      openSentencePiece(path, null, pieces.length);
    };
  expectError(t, 'EM1103', /the model is word; supported: BPE, Unigram/, opening({ type: 3 }));
  expectError(t, 'EM1108', /charsmap has 1 bytes/, opening({ characterMap: Uint8Array.of(1) }));
  expectError(t, 'EM1108', /treat_whitespace_as_suffix/, opening({ spacesBehind: true }));
  expectError(t, 'EM1102', /has no tokens/, opening({ parts: 'tn' }));
  expectError(t, 'EM1102', /has no trainer_spec/, opening({ parts: 'pn' }));
  expectError(t, 'EM1102', /has no normalizer_spec/, opening({ parts: 'pt' }));
  expectError(t, 'EM1102', /a token is of type 7/, opening({}, [{ text: 'a', score: 0, type: 7 }]));
  expectError(
    t,
    'EM1102',
    /the score of a token is not a number/,
    opening({}, [{ text: 'a', score: Number.NaN, type: 1 }]),
  );
  t.end();
});

t.test('a damaged tokenizer.model is read or refused by number', (t) => {
  const { bytes, boundaries } = writeSentencePiece(syntheticPieces().slice(0, 40));
  const path = join(temporaryFolder(t), 'tokenizer.model');
  fuzzReader(t, path, [{ name: 'tokenizer.model', bytes, boundaries }], (file) => {
    openSentencePiece(file, null, 64);
  });
  t.end();
});
