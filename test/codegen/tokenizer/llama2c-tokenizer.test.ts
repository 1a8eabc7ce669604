import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { EmbedError } from '../../../codegen/diagnostics/error.js';
import { compileTokenizer } from '../../../codegen/tokenizer/compile-tokenizer.js';
import { decodeTokens } from '../../../codegen/tokenizer/decode-tokens.js';
import { encodeText } from '../../../codegen/tokenizer/encode-text.js';
import { openLlama2cTokenizer } from '../../../codegen/tokenizer/llama2c-tokenizer.js';
import { openTokenizer, type TokenizerModel } from '../../../codegen/tokenizer/tokenizer.js';
import { openTokenizerJson } from '../../../codegen/tokenizer/tokenizer-json.js';
import { corpusLines, needsShared, sharedPath } from './shared-data.js';
import { characterTokenizer, mixedText, temporaryFolder, writeTokenizer } from './synthetic-tokenizers.js';
import { needsCompiler, sanitizers, TokenizerDriver } from './tokenizer-driver.js';

interface Entry {
  readonly text: string;
  readonly score: number;
}

function tokenizerBin(entries: readonly Entry[]): Buffer {
  const longest = Buffer.alloc(4);
  longest.writeInt32LE(Math.max(0, ...entries.map(({ text }) => Buffer.byteLength(text))));
  const parts = entries.map(({ text, score }) => {
    const head = Buffer.alloc(8);
    head.writeFloatLE(score, 0);
    head.writeInt32LE(Buffer.byteLength(text), 4);
    return Buffer.concat([head, Buffer.from(text)]);
  });
  return Buffer.concat([longest, ...parts]);
}

const controls = ['<unk>', '\n<s>\n', '\n</s>\n'];
const byteNames = Array.from(
  { length: 256 },
  (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, '0')}>`,
);
const unscored = [...controls, ...byteNames].map((text) => ({ text, score: 0 }));
const words = [
  ' t',
  'he',
  ' the',
  'aa',
  'aaa',
  'aaaa',
  'a a',
  ' a',
  'th',
  'ti',
  'ime',
  ' time',
  '日本',
  '  ',
  '    ',
];
const characters = [' ', ...'abcdefghimnorstuxyz', '日', '本', 'é', '0', '<', '>', 'A'];
/** Equal scores for neighbours, so that the leftmost pair matters; the last word never merges. */
const entries: Entry[] = [
  ...unscored,
  ...words.map((text, i) => ({ text, score: -(i >> 1) })),
  ...characters.map((text, i) => ({ text, score: -100 - i })),
  { text: 'xyz', score: -50 },
  { text: 'xy', score: -1e10 },
];

function writeBin(t: Test, contents: Uint8Array, name = 'tokenizer.bin'): string {
  const path = join(temporaryFolder(t), name);
  writeFileSync(path, contents);
  return path;
}

/** encode() of run.c, its search through all pairs for every merge included. */
function encodeLikeRunC(tokens: readonly Entry[], text: string): number[] {
  const find = (wanted: string) => tokens.findIndex(({ text }) => text === wanted);
  const ids = [1];
  if (text !== '') ids.push(find(' '));
  for (const character of text) {
    const id = find(character);
    if (id !== -1) ids.push(id);
    else for (const byte of Buffer.from(character)) ids.push(byte + 3);
  }
  for (;;) {
    let best = { score: -1e10, id: -1, at: -1 };
    for (let at = 0; at + 1 < ids.length; at++) {
      const id = find(tokens[ids[at]].text + tokens[ids[at + 1]].text);
      if (id !== -1 && Math.fround(tokens[id].score) > best.score)
        best = { score: Math.fround(tokens[id].score), id, at };
    }
    if (best.at === -1) return ids;
    ids.splice(best.at, 2, best.id);
  }
}

t.test('ids are those of run.c', needsCompiler, async (t) => {
  const model = openLlama2cTokenizer(writeBin(t, tokenizerBin(entries)), entries.length);
  const letters = fc.string({ unit: fc.constantFrom(...'aaaattthe im<>0xA', '日', '本', 'é', '😀', 'xyz') });
  const texts = [
    '',
    ' ',
    '  ',
    '<0x0A>',
    '<s>',
    ...fc.sample(fc.oneof(letters, mixedText), { numRuns: 400, seed: 50 }),
  ];
  const expected = texts.map((text) => encodeLikeRunC(entries, text));
  const encoded = texts.map((text) => [...encodeText(model, text, { bos: true })]);
  t.same(encoded, expected);
  const driver = new TokenizerDriver(temporaryFolder(t), sanitizers);
  const results = driver.run(
    compileTokenizer(model),
    texts.map((text) => ({ text, bos: true })),
  );
  t.same(
    results.map(({ ids }) => ids),
    expected,
  );
  t.same(
    results.map(({ text }) => text),
    texts.map((text) => Buffer.from(text).toString()),
    'the first space goes, the text comes back',
  );
});

t.test('decoding', async (t) => {
  const model = openLlama2cTokenizer(writeBin(t, tokenizerBin(entries)), entries.length);
  const idOf = (wanted: string) => entries.findIndex(({ text }) => text === wanted);
  t.equal(
    decodeTokens(model, [1, idOf(' the'), idOf(' time')]),
    'the time',
    'the space after BOS is left out',
  );
  t.equal(decodeTokens(model, [1, 0xf0 + 3, 0x9f + 3, 0x98 + 3, 0x80 + 3, 2]), '😀');
  t.equal(decodeTokens(model, [1, 0xf0 + 3, idOf('a')]), '\ufffda');
});

t.test('damaged and foreign files', async (t) => {
  const good = tokenizerBin(entries);
  const withScore = (score: number) => tokenizerBin([{ text: 'x', score }, ...entries.slice(1)]);
  const withLength = (length: number) => {
    const bytes = Buffer.from(good);
    bytes.writeInt32LE(length, 8);
    return bytes;
  };
  const cases: readonly (readonly [string, Uint8Array, number, string, RegExp])[] = [
    ['empty', Buffer.alloc(0), entries.length, 'EM1102', /has 0 bytes/],
    [
      'cut in a header',
      good.subarray(0, good.length - 5 - 3),
      entries.length,
      'EM1102',
      /ends within token|has length/,
    ],
    ['cut in a text', good.subarray(0, good.length - 1), entries.length, 'EM1102', /has length 2/],
    ['a length of 0', withLength(0), entries.length, 'EM1102', /token 0 at byte 4 has length 0/],
    ['a negative length', withLength(-1), entries.length, 'EM1102', /length -1/],
    ['a huge length', withLength(2 ** 30), entries.length, 'EM1102', /length 1073741824/],
    ['a score that is no number', withScore(NaN), entries.length, 'EM1102', /score of token 0/],
    [
      'fewer tokens than rows',
      good,
      entries.length + 1,
      'EM1105',
      /expected: 301|expected: \d+, as the embedding/,
    ],
    ['more tokens than rows', good, 300 - 1, 'EM1105', /as the embedding has rows/],
    ['too few for bytes', tokenizerBin(entries.slice(0, 100)), 100, 'EM1105', /at least 259/],
    [
      'a token twice',
      tokenizerBin([...entries, { text: 'aa', score: -9 }]),
      entries.length + 1,
      'EM1106',
      /are the same/,
    ],
  ];
  for (const [name, contents, vocabSize, code, why] of cases) {
    t.throws(
      () => openLlama2cTokenizer(writeBin(t, contents), vocabSize),
      { name: 'EmbedError', code, why },
      name,
    );
  }
});

t.test('2,000 damaged files are refused or read', async (t) => {
  const path = writeBin(t, Buffer.alloc(0));
  const good = tokenizerBin(entries);
  const change = fc.tuple(fc.nat(good.length - 1), fc.nat(255));
  const damage = fc.tuple(fc.array(change, { minLength: 1, maxLength: 3 }), fc.nat(good.length), fc.nat(9));
  const outcomes = new Map<string, number>();
  for (const [changes, end, cut] of fc.sample(damage, { numRuns: 2000, seed: 51 })) {
    const bytes = Buffer.from(good);
    for (const [at, byte] of changes) bytes[at] = byte;
    writeFileSync(path, cut === 0 ? bytes.subarray(0, end) : bytes);
    const outcome = attempt(path);
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  t.notOk(outcomes.has('crash'), JSON.stringify([...outcomes]));
  t.ok(
    (outcomes.get('read') ?? 0) > 100 && (outcomes.get('EM1102') ?? 0) > 100,
    JSON.stringify([...outcomes]),
  );
});

function attempt(path: string): string {
  try {
    const model = openLlama2cTokenizer(path, entries.length);
    compileTokenizer(model);
    decodeTokens(model, encodeText(model, 'the time aaaa 日本', { bos: true }));
    return 'read';
  } catch (error) {
    return error instanceof EmbedError ? error.code : 'crash';
  }
}

t.test('where the tokenizer of a .bin file is looked for', async (t) => {
  const checkpoint = writeBin(t, Buffer.alloc(0), 'model.bin');
  const beside = (name: string) => join(checkpoint, '..', name);
  t.match(openTokenizer(checkpoint, entries.length), {
    tokenizer: null,
    reason: /no tok\d+\.bin, tokenizer\.bin, tokenizer\.json/,
  });
  writeFileSync(beside('tokenizer.bin'), tokenizerBin(entries));
  t.equal(openTokenizer(checkpoint, entries.length).tokenizer?.source, beside('tokenizer.bin'));
  writeFileSync(beside(`tok${entries.length}.bin`), tokenizerBin(entries));
  t.equal(openTokenizer(checkpoint, entries.length).tokenizer?.source, beside(`tok${entries.length}.bin`));
});

/**
 * The prompts of llama2.c's test.c, which are those of Meta's Llama 2 examples, and the ids they must have.
 */
const published: readonly (readonly [string, readonly number[]])[] = [
  ['', [1]],
  ['I believe the meaning of life is', [1, 306, 4658, 278, 6593, 310, 2834, 338]],
  [
    'Simply put, the theory of relativity states that ',
    [1, 3439, 17632, 1925, 29892, 278, 6368, 310, 14215, 537, 5922, 393, 29871],
  ],
  [
    'A brief message congratulating the team on the launch:\n\n        Hi everyone,\n\n        I just ',
    [
      ...[1, 319, 11473, 2643, 378, 629, 271, 18099, 278, 3815, 373, 278, 6826, 29901, 13, 13, 4706],
      ...[6324, 14332, 29892, 13, 13, 4706, 306, 925, 29871],
    ],
  ],
  [
    'Translate English to French:\n\n        sea otter => loutre de mer\n        peppermint => menthe poivrée\n' +
      '        plush girafe => girafe peluche\n        cheese =>',
    [
      ...[
        1, 4103, 9632, 4223, 304, 5176, 29901, 13, 13, 4706, 7205, 4932, 357, 1149, 301, 449, 276, 316, 2778,
      ],
      ...[
        13, 4706, 1236, 407, 837, 524, 1149, 6042, 354, 772, 440, 29878, 1318, 13, 4706, 715, 1878, 330, 3055,
      ],
      ...[1725, 1149, 330, 3055, 1725, 4639, 28754, 13, 4706, 923, 968, 1149],
    ],
  ],
];

const llama2 = 'models/llama2c-tokenizer-32000';

t.test('published encodings of the Llama 2 vocabulary', needsShared(llama2), async (t) => {
  const model = openLlama2cTokenizer(sharedPath(llama2, 'tokenizer.bin'), 32000);
  for (const [text, ids] of published) {
    t.same([...encodeText(model, text, { bos: true })], ids, JSON.stringify(text));
    t.equal(decodeTokens(model, ids), text);
  }
  const bytes = decodeTokens(model, encodeText(model, '😀 emoji 日本語 ◌', { bos: true }));
  t.equal(bytes, '😀 emoji 日本語 ◌');
});

t.test(
  'tokenizer.bin and a tokenizer.json of the same vocabulary give the same',
  needsShared(llama2, 'corpora'),
  async (t) => {
    const bin = openLlama2cTokenizer(sharedPath(llama2, 'tokenizer.bin'), 32000);
    const json = openTokenizerJson(join(writeTokenizer(t, convertSentencePiece()), 'tokenizer.json'), 32000);
    const lines = [
      ...corpusLines('os_validation.txt', 1000),
      ...corpusLines('tinystories_validation.txt', 300),
    ];
    lines.push(...published.map(([text]) => text), ...fc.sample(mixedText, { numRuns: 300, seed: 52 }));
    const different = lines.filter((line) => {
      const ids = encodeText(bin, line, { bos: true });
      const same = encodeText(json, line, { bos: true }).join() === ids.join();
      return !same || decodeTokens(json, ids) !== decodeTokens(bin, ids);
    });
    // U+2581 is a space to SentencePiece, and a character of its own to run.c.
    t.same(
      different.filter((line) => !line.includes('▁')),
      [],
    );
    t.equal(bin.merges.rights.length, 61249, 'as many merges as the published tokenizer.json of Llama 2 has');
  },
);

/**
 * tokenizer.model, the original of tokenizer.bin, as a tokenizer.json: merges in the order of the scores of
 * what they make, as transformers converts SentencePiece models.
 */
function convertSentencePiece(): object {
  const pieces = readPieces(readFileSync(sharedPath(llama2, 'tokenizer.model')));
  const scores = new Map(pieces.map(({ text, score }) => [text, score]));
  const merges: { pair: [string, string]; score: number }[] = [];
  for (const { text, score } of pieces) {
    const points = [...text];
    for (let cut = 1; cut < points.length; cut++) {
      const pair: [string, string] = [points.slice(0, cut).join(''), points.slice(cut).join('')];
      if (pair.every((part) => scores.has(part))) merges.push({ pair, score });
    }
  }
  merges.sort((a, b) => b.score - a.score);
  const vocab = Object.fromEntries(pieces.map(({ text }, id) => [text, id]));
  return characterTokenizer({}, { vocab, merges: merges.map(({ pair }) => pair) });
}

/** The pieces of a SentencePiece ModelProto: field 1, each with text (1) and score (2). */
function readPieces(model: Buffer): Entry[] {
  const pieces: Entry[] = [];
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = model[at++];
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < model.length) {
    const field = varint();
    const end = varint() + at;
    if (field === 10) {
      at++; // field 1 of a piece: text
      const length = varint();
      const text = model.toString('utf8', at, at + length);
      pieces.push({ text, score: model.readFloatLE(at + length + 1) });
    }
    at = end;
  }
  return pieces;
}

const small = 'models/stories260K';

t.test('a text survives the vocabulary of stories260K', needsShared(small, 'corpora'), async (t) => {
  const found = openTokenizer(sharedPath(small, 'stories260K.bin'), 512);
  const model = found.tokenizer as TokenizerModel;
  t.equal(model.source, sharedPath(small, 'tok512.bin'));
  const lines = corpusLines('tinystories_validation.txt', 300);
  const decoded = lines.map((line) => decodeTokens(model, encodeText(model, line, { bos: true })));
  t.same(decoded, lines);
  // The prompt with which llama2.c shows this model: its ids as run.c gives them.
  t.same([...encodeText(model, 'Once upon a time', { bos: true })], [1, 403, 407, 261, 378]);
});
