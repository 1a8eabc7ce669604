/** Unigram vocabularies: tokenizer.model and GGUF against the tokenizer.json of the same pieces. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { encodeText } from '../../../codegen/tokenizer/encode-text.js';
import { openGgufTokenizer } from '../../../codegen/tokenizer/gguf-tokenizer.js';
import { openSentencePiece } from '../../../codegen/tokenizer/sentencepiece-model.js';
import { openTokenizerJson } from '../../../codegen/tokenizer/tokenizer-json.js';
import type { Value } from '../checkpoint/gguf/gguf-writer.js';
import { ggufOf } from './gguf-of.js';
import { texts } from './require-same-ids.js';
import { writeSentencePiece } from './sentencepiece-writer.js';
import { writeTokenizer } from './synthetic-tokenizers.js';
import { characterMapOf, unigramTokenizer, unigramVocabulary } from './unigram-tokenizers.js';

t.test('a tokenizer.model of the Unigram type encodes as the tokenizer.json of the same pieces', (t) => {
  const vocab = unigramVocabulary(texts.join(' '), 500, true);
  const map = characterMapOf({ '\t': ' ', '\n': ' ', ﬁ: 'fi', 'e\u0301': 'é' });
  const strip = { type: 'Strip', strip_left: false, strip_right: true };
  const replace = { type: 'Replace', pattern: { Regex: ' {2,}' }, content: '▁' };
  const normalizers = [{ type: 'Precompiled', precompiled_charsmap: map.toString('base64') }, strip, replace];
  const json = unigramTokenizer(
    vocab,
    { normalizer: { type: 'Sequence', normalizers } },
    { byte_fallback: true },
  );
  const folder = writeTokenizer(t, json);
  const path = join(folder, 'tokenizer.model');
  const types: Readonly<Record<string, number>> = { '<unk>': 2, '<s>': 3, '</s>': 3 };
  const pieces = vocab.map(([text, score]) => ({
    text,
    score,
    type: types[text] ?? (/^<0x..>$/.test(text) ? 6 : 1),
  }));
  writeFileSync(path, writeSentencePiece(pieces, { type: 1, characterMap: map, extraSpaces: true }).bytes);
  const expected = openTokenizerJson(join(folder, 'tokenizer.json'), vocab.length);
  const found = openSentencePiece(path, null, vocab.length);
  const metadata: Record<string, Value> = {
    'tokenizer.ggml.model': { text: 't5' },
    'tokenizer.ggml.tokens': { texts: pieces.map(({ text }) => text) },
    'tokenizer.ggml.scores': { floats: pieces.map(({ score }) => score) },
    'tokenizer.ggml.token_type': { ints: pieces.map(({ type }) => type) },
    'tokenizer.ggml.precompiled_charsmap': { ints: [...map] },
    'tokenizer.ggml.remove_extra_whitespaces': { bool: true },
  };
  const fromGguf = openGgufTokenizer(ggufOf(t, metadata), vocab.length)!;
  const more = ['ﬁne cafe\u0301', 'several   spaces   inside', 'tab\tand\nline', 'unseen Ω and 漢'];
  for (const text of [...texts.slice(0, 3), ...more]) {
    const ids = encodeText(expected, text);
    t.strictSame([...encodeText(found, text)], [...ids], text);
    t.strictSame([...encodeText(fromGguf, text)], [...ids], text);
    t.ok(ids.length > 2);
  }
  t.same([...encodeText(found, 'ﬁne   x')], [...encodeText(found, 'fine x')]);
  t.end();
});
