/** tokenizer.model, vocab.json with merges.txt, GGUF vocabularies, characters: against other files of the same tokenizer. */
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { bundledModelPath } from '../../../codegen/checkpoint/model-source.js';
import { decodeTokens } from '../../../codegen/tokenizer/decode-tokens.js';
import { encodeText } from '../../../codegen/tokenizer/encode-text.js';
import { openGgufTokenizer } from '../../../codegen/tokenizer/gguf-tokenizer.js';
import { openLlama2cTokenizer } from '../../../codegen/tokenizer/llama2c-tokenizer.js';
import { openSentencePiece } from '../../../codegen/tokenizer/sentencepiece-model.js';
import { openTokenizer, type TokenizerModel } from '../../../codegen/tokenizer/tokenizer.js';
import { openTokenizerJson } from '../../../codegen/tokenizer/tokenizer-json.js';
import { openVocabMerges } from '../../../codegen/tokenizer/vocab-merges.js';
import { expectError } from '../checkpoint/expect-error.js';
import { fuzzReader } from '../checkpoint/fuzz-reader.js';
import { type Value, writeGguf } from '../checkpoint/gguf/gguf-writer.js';
import { SavedTensor, writePytorch } from '../checkpoint/pytorch/pytorch-writer.js';
import { corpusLines, needsShared, sharedPath } from './shared-data.js';
import {
  byteLevelTokenizer,
  characterTokenizer,
  llama3Expression,
  splitBy,
  temporaryFolder,
  writeTokenizer,
} from './synthetic-tokenizers.js';
import { characterMapOf, unigramTokenizer, unigramVocabulary } from './unigram-tokenizers.js';

const texts = [
  'Once upon a time, there was a little girl named Lily.',
  "  two spaces,\ttabs\nand lines; don't we'll",
  'l’été naïve café 日本語 한국어 😀 \u0301 1234567',
  ' ',
  '',
  'x▁y',
];

function requireSameIds(
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

/** A message of protocol buffers, field by field. */
function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
}

const nested = (field: number, content: Uint8Array) =>
  Buffer.concat([Buffer.from([...varint(field * 8 + 2), ...varint(content.length)]), content]);
const number = (field: number, value: number) => Buffer.from([...varint(field * 8), ...varint(value)]);

interface SavedPiece {
  readonly text: string | Uint8Array;
  readonly score: number;
  readonly type: number;
}

function writeSentencePiece(
  pieces: readonly SavedPiece[],
  options: {
    readonly type?: number;
    readonly characterMap?: Uint8Array;
    readonly extraSpaces?: boolean;
    readonly spacesBehind?: boolean;
    readonly parts?: string;
  } = {},
): { bytes: Buffer; boundaries: number[] } {
  const { type = 2, characterMap = new Uint8Array(0), extraSpaces = false, parts = 'ptn' } = options;
  const { spacesBehind = false } = options;
  const list: Buffer[] = [];
  if (parts.includes('p')) {
    for (const { text, score, type } of pieces) {
      const value = Buffer.alloc(4);
      value.writeFloatLE(score);
      const content = [
        nested(1, Buffer.from(text)),
        Buffer.from([2 * 8 + 5]),
        value,
        ...(type === 1 ? [] : [number(3, type)]),
      ];
      list.push(nested(1, Buffer.concat(content)));
    }
  }
  if (parts.includes('t'))
    list.push(
      nested(
        2,
        Buffer.concat([number(3, type), number(24, spacesBehind ? 1 : 0), number(40, 0), number(41, 1)]),
      ),
    );
  const normalizer = [
    nested(1, Buffer.from('identity')),
    nested(2, characterMap),
    number(3, 1),
    number(4, extraSpaces ? 1 : 0),
  ];
  if (parts.includes('n')) list.push(nested(3, Buffer.concat(normalizer)));
  const boundaries: number[] = [];
  let at = 0;
  for (const part of list) {
    boundaries.push(at, at + 1, at + 2);
    at += part.length;
  }
  return { bytes: Buffer.concat(list), boundaries };
}

/** The pieces of a synthetic tokenizer.json over characters: a merge of rank r has score -r. */
function syntheticPieces(): SavedPiece[] {
  const { model } = characterTokenizer() as {
    model: { vocab: Record<string, number>; merges: [string, string][] };
  };
  const rank = new Map(model.merges.map(([left, right], i) => [left + right, i]));
  // By id: keys that look like numbers come first in an object.
  const inOrder = Object.entries(model.vocab).sort(([, a], [, b]) => a - b);
  return inOrder.map(([text]) => {
    const type = text === '<unk>' ? 2 : /^<\/?s>$/.test(text) ? 3 : /^<0x..>$/.test(text) ? 6 : 1;
    return { text, score: -(rank.get(text) ?? 1000), type };
  });
}

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

function ggufOf(t: Test, metadata: Record<string, Value>): string {
  const path = join(t.testdir(), 'vocabulary.gguf');
  writeFileSync(path, writeGguf(metadata, []).bytes);
  return path;
}

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

t.test('a damaged tokenizer.model is read or refused by number', (t) => {
  const { bytes, boundaries } = writeSentencePiece(syntheticPieces().slice(0, 40));
  const path = join(temporaryFolder(t), 'tokenizer.model');
  fuzzReader(t, path, [{ name: 'tokenizer.model', bytes, boundaries }], (file) => {
    openSentencePiece(file, null, 64);
  });
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
