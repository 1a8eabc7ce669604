/** Vocabularies in GGUF against the files that they were made from. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { bundledModelPath } from '../../../codegen/checkpoint/model-source.js';
import { openGgufTokenizer } from '../../../codegen/tokenizer/gguf-tokenizer.js';
import { openSentencePiece } from '../../../codegen/tokenizer/sentencepiece-model.js';
import { openTokenizerJson } from '../../../codegen/tokenizer/tokenizer-json.js';
import { expectError } from '../checkpoint/expect-error.js';
import { fuzzReader } from '../checkpoint/fuzz-reader.js';
import { type Value, writeGguf } from '../checkpoint/gguf/gguf-writer.js';
import { ggufOf } from './gguf-of.js';
import { requireSameIds } from './require-same-ids.js';
import { syntheticPieces, writeSentencePiece } from './sentencepiece-writer.js';
import {
  byteLevelTokenizer,
  llama3Expression,
  splitBy,
  temporaryFolder,
  writeTokenizer,
} from './synthetic-tokenizers.js';

/** As convert_hf_to_gguf.py writes a byte-level tokenizer.json. */
function byteLevelMetadata(folder: string, pre: string): Record<string, Value> {
  const json = JSON.parse(readFileSync(join(folder, 'tokenizer.json'), 'utf8'));
  const tokens: string[] = [];
  for (const [token, id] of Object.entries(json.model.vocab)) tokens[Number(id)] = token;
  const types = tokens.map(() => 1);
  for (const { id, content, special } of json.added_tokens) {
    tokens[id] = content;
    types[id] = special ? 3 : 4;
  }
  const merges: (string | string[])[] = json.model.merges;
  return {
    'general.architecture': { text: 'llama' },
    'tokenizer.ggml.model': { text: 'gpt2' },
    'tokenizer.ggml.pre': { text: pre },
    'tokenizer.ggml.tokens': { texts: tokens },
    'tokenizer.ggml.token_type': { ints: types },
    'tokenizer.ggml.merges': {
      texts: merges.map((pair) => (typeof pair === 'string' ? pair : pair.join(' '))),
    },
  };
}

t.test('byte-level vocabularies in GGUF encode as the tokenizer.json they were made from', (t) => {
  const folder = writeTokenizer(
    t,
    byteLevelTokenizer({ pre_tokenizer: splitBy(llama3Expression) }, { ignore_merges: true }),
  );
  const size = 600;
  for (const pre of ['llama-bpe', 'llama3']) {
    const found = openGgufTokenizer(ggufOf(t, byteLevelMetadata(folder, pre)), size)!;
    requireSameIds(t, found, openTokenizerJson(join(folder, 'tokenizer.json'), size));
  }
  const bundled = byteLevelMetadata(bundledModelPath, 'gpt-2');
  const expected = openTokenizerJson(join(bundledModelPath, 'tokenizer.json'), 4096);
  const { pre_tokenizer: pre } = JSON.parse(readFileSync(join(bundledModelPath, 'tokenizer.json'), 'utf8'));
  if (pre.type === 'ByteLevel') requireSameIds(t, openGgufTokenizer(ggufOf(t, bundled), 4096)!, expected);
  t.end();
});

t.test('vocabularies with scores in GGUF encode as the tokenizer.model they were made from', (t) => {
  const pieces = syntheticPieces();
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'tokenizer.model'), writeSentencePiece(pieces).bytes);
  const path = ggufOf(t, {
    'tokenizer.ggml.model': { text: 'llama' },
    'tokenizer.ggml.tokens': { texts: pieces.map(({ text }) => text) },
    'tokenizer.ggml.scores': { floats: pieces.map(({ score }) => score) },
    'tokenizer.ggml.token_type': { ints: pieces.map(({ type }) => type) },
    'tokenizer.ggml.bos_token_id': { u32: 1 },
  });
  const found = openGgufTokenizer(path, pieces.length)!;
  requireSameIds(t, found, openSentencePiece(join(folder, 'tokenizer.model'), null, pieces.length));
  t.equal(found.bosId, 1);
  t.end();
});

t.test('GGUF vocabularies that are missing, of another kind or contradict themselves', (t) => {
  const base: Record<string, Value> = {
    'tokenizer.ggml.model': { text: 'llama' },
    'tokenizer.ggml.tokens': { texts: ['a', 'b', 'c'] },
    'tokenizer.ggml.scores': { floats: [0, 0, 0] },
    'tokenizer.ggml.token_type': { ints: [1, 1, 1] },
  };
  const opening = (changes: Record<string, Value>) => () =>
    openGgufTokenizer(ggufOf(t, { ...base, ...changes }), 3);
  t.equal(openGgufTokenizer(ggufOf(t, {}), 3), null);
  expectError(
    t,
    'EM1103',
    /model is bert; supported: gpt2, llama/,
    opening({ 'tokenizer.ggml.model': { text: 'bert' } }),
  );
  expectError(t, 'EM1102', /scores is another list/, opening({ 'tokenizer.ggml.scores': { floats: [0] } }));
  expectError(
    t,
    'EM1102',
    /token_type is another list/,
    opening({ 'tokenizer.ggml.token_type': { ints: [1, 9, 1] } }),
  );
  expectError(
    t,
    'EM1105',
    /has 4 tokens/,
    opening({
      'tokenizer.ggml.tokens': { texts: ['a', 'b', 'c', 'd'] },
      'tokenizer.ggml.scores': { floats: [0, 0, 0, 0] },
      'tokenizer.ggml.token_type': { ints: [1, 1, 1, 1] },
    }),
  );
  expectError(
    t,
    'EM1106',
    /tokens 0 and 2 are the same/,
    opening({ 'tokenizer.ggml.tokens': { texts: ['a', 'b', 'a'] } }),
  );
  expectError(
    t,
    'EM1106',
    /of type byte, but is called "c"/,
    opening({ 'tokenizer.ggml.token_type': { ints: [1, 1, 6] } }),
  );
  expectError(t, 'EM1102', /bos_token_id is 9/, opening({ 'tokenizer.ggml.bos_token_id': { u32: 9 } }));
  const bytes: Record<string, Value> = { ...base, 'tokenizer.ggml.model': { text: 'gpt2' } };
  expectError(t, 'EM1104', /pre is absent; supported: gpt-2, llama-bpe/, opening(bytes));
  expectError(
    t,
    'EM1104',
    /pre is deepseek-llm/,
    opening({ ...bytes, 'tokenizer.ggml.pre': { text: 'deepseek-llm' } }),
  );
  const merges = { 'tokenizer.ggml.pre': { text: 'gpt-2' }, 'tokenizer.ggml.merges': { texts: ['a z'] } };
  expectError(t, 'EM1107', /names "z"/, opening({ ...bytes, ...merges }));
  expectError(
    t,
    'EM1102',
    /tokens is 7; expected: an array of texts/,
    opening({ 'tokenizer.ggml.tokens': { u32: 7 } }),
  );
  t.end();
});

t.test('damaged vocabularies of GGUF are read or refused by number', (t) => {
  const pieces = syntheticPieces().slice(0, 30);
  const { bytes, boundaries } = writeGguf(
    {
      'tokenizer.ggml.model': { text: 'llama' },
      'tokenizer.ggml.tokens': { texts: pieces.map(({ text }) => text) },
      'tokenizer.ggml.scores': { floats: pieces.map(({ score }) => score) },
      'tokenizer.ggml.token_type': { ints: pieces.map(({ type }) => type) },
    },
    [{ name: 'weights', shape: [8], type: 0, bytes: new Uint8Array(32) }],
  );
  const path = join(temporaryFolder(t), 'damaged.gguf');
  fuzzReader(t, path, [{ name: 'vocabulary', bytes, boundaries }], (file) => {
    openGgufTokenizer(file, 64);
  });
  t.end();
});
