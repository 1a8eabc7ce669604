import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { EmbedError } from '../../../codegen/diagnostics/error.js';
import { compileTokenizer } from '../../../codegen/tokenizer/compile-tokenizer.js';
import { encodeText } from '../../../codegen/tokenizer/encode-text.js';
import { openTokenizer } from '../../../codegen/tokenizer/tokenizer.js';
import { openTokenizerJson } from '../../../codegen/tokenizer/tokenizer-json.js';
import {
  added,
  byteLevelTokenizer,
  characterTokenizer,
  type Json,
  nextId,
  qwen2Expression,
  splitBy,
  template,
  temporaryFolder,
  writeTokenizer,
} from './synthetic-tokenizers.js';
import { characterMapOf, unigramTokenizer, whitespaceSplit } from './unigram-tokenizers.js';

function open(t: Test, json: unknown, config: unknown = {}, vocabSize = 1024) {
  return openTokenizerJson(join(writeTokenizer(t, json, config), 'tokenizer.json'), vocabSize);
}

const bytes = { type: 'ByteLevel', add_prefix_space: false, use_regex: true };
const sequence = (...pretokenizers: object[]) => ({ pre_tokenizer: { type: 'Sequence', pretokenizers } });
const metaspace = (settings: object) => ({
  normalizer: null,
  pre_tokenizer: { type: 'Metaspace', replacement: '▁', split: false, ...settings },
});
const replace = (from: string, to: string) => ({ type: 'Replace', pattern: { String: from }, content: to });
const decoders = (...steps: object[]) => ({ decoder: { type: 'Sequence', decoders: steps } });

const unigram: [string, number][] = [
  ['<unk>', 0],
  ['<s>', 0],
  ['</s>', 0],
  ['▁', -2],
  ['a', -3],
];
const many = Array.from({ length: 1030 }, (_, i): [string, number] => [`t${i}`, -i]);
const spaceNormalizer = {
  type: 'Sequence',
  normalizers: [{ type: 'Prepend', prepend: '▁' }, replace(' ', '▁')],
};
const spaceDecoder = { type: 'Sequence', decoders: [replace('▁', ' '), { type: 'Fuse' }] };
const precompiled = (map: string) => ({ normalizer: { type: 'Precompiled', precompiled_charsmap: map } });
const stripLast = {
  normalizer: {
    type: 'Sequence',
    normalizers: [
      { type: 'Replace', pattern: { Regex: ' {2,}' }, content: '▁' },
      { type: 'Strip', strip_left: true, strip_right: true },
    ],
  },
};

/** What is wrong with a tokenizer, the file, the error it gets, and what the error must say. */
const refused: readonly (readonly [string, unknown, string, RegExp])[] = [
  ['no JSON', '{"model": ', 'EM1102', /not JSON/],
  ['no object', '[]', 'EM1102', /not a JSON object/],
  ['a key twice', '{"model": {}, "model": {}}', 'EM1102', /"model" stands twice/],
  ['no model', byteLevelTokenizer({ model: null }), 'EM1102', /model is null/],
  ['no vocabulary', byteLevelTokenizer({}, { vocab: [] }), 'EM1102', /model\.vocab is not an object/],
  ['merges of another type', byteLevelTokenizer({}, { merges: 'a b' }), 'EM1102', /model\.merges is "a b"/],
  ['a merge of three', byteLevelTokenizer({}, { merges: ['a b c'] }), 'EM1102', /merge 0 is "a b c"/],
  ['a merge of numbers', byteLevelTokenizer({}, { merges: [[1, 2]] }), 'EM1102', /merge 0 is \[1,2\]/],
  [
    'an id that is no number',
    byteLevelTokenizer({}, { vocab: { a: '1' } }),
    'EM1102',
    /token "a" has id "1"/,
  ],
  ['a negative id', byteLevelTokenizer({}, { vocab: { a: -1 } }), 'EM1102', /token "a" has id -1/],
  ['a flag that is no flag', byteLevelTokenizer({}, { fuse_unk: 1 }), 'EM1102', /model\.fuse_unk is 1/],
  [
    'an added token without content',
    byteLevelTokenizer({ added_tokens: [{ id: 1 }] }),
    'EM1102',
    /added_tokens\[0\]\.content/,
  ],
  ['an empty Unigram vocabulary', unigramTokenizer([]), 'EM1102', /model\.vocab is \[\]/],
  ['a score that is none', unigramTokenizer([['a', Number.NaN]]), 'EM1102', /token 0 .* \["a",null\]/],
  [
    'a Unigram token twice',
    unigramTokenizer([...unigram, ['▁', -1]]),
    'EM1106',
    /tokens 3 and 5 are both "▁"/,
  ],
  ['an unk_id of no token', unigramTokenizer(unigram, {}, { unk_id: 5 }), 'EM1106', /unk_id is 5/],
  ['more Unigram tokens than rows', unigramTokenizer(many), 'EM1105', /1030 tokens, the embedding 1024/],
  [
    'Unigram over raw text',
    unigramTokenizer(unigram, { pre_tokenizer: null, decoder: spaceDecoder, normalizer: spaceNormalizer }),
    'EM1104',
    /Unigram vocabulary without Metaspace/,
  ],
  ['a damaged map', unigramTokenizer(unigram, precompiled('AAAA')), 'EM1108', /charsmap has 3 bytes/],
  ['a map of zeros', unigramTokenizer(unigram, precompiled('AAAAAAAAAAA=')), 'EM1108', /array of 0 bytes/],
  [
    'a map to no text',
    unigramTokenizer(unigram, precompiled(characterMapOf({ a: 'b' }).subarray(0, -2).toString('base64'))),
    'EM1108',
    /has a text at 0 of 0/,
  ],
  [
    'a map that makes text long',
    unigramTokenizer(unigram, precompiled(characterMapOf({ a: 'b'.repeat(16) }).toString('base64'))),
    'EM1108',
    /makes 16 bytes of one/,
  ],
  ['Strip after Replace', unigramTokenizer(unigram, stripLast), 'EM1108', /"Strip"/],
  [
    'WhitespaceSplit without prefixes',
    unigramTokenizer(unigram, {
      ...whitespaceSplit,
      ...sequence({ type: 'WhitespaceSplit' }, { type: 'Metaspace', prepend_scheme: 'never' }),
    }),
    'EM1104',
    /WhitespaceSplit with prepend_scheme never/,
  ],
  ['WordPiece', byteLevelTokenizer({}, { type: 'WordPiece' }), 'EM1103', /WordPiece/],
  ['dropout', byteLevelTokenizer({}, { dropout: 0.1 }), 'EM1103', /dropout 0\.1/],
  ['a word suffix', byteLevelTokenizer({}, { end_of_word_suffix: '</w>' }), 'EM1103', /"<\/w>"/],
  ['ignore_merges of characters', characterTokenizer({}, { ignore_merges: true }), 'EM1103', /ignore_merges/],
  ['byte_fallback of bytes', byteLevelTokenizer({}, { byte_fallback: true }), 'EM1103', /byte_fallback/],
  [
    'an unknown expression',
    byteLevelTokenizer(splitByJson('\\w+|[^\\w\\s]')),
    'EM1104',
    /Split by \\w\+\|\[\^\\w\\s\]; known/,
  ],
  [
    'a split by a string',
    byteLevelTokenizer(sequence({ type: 'Split', pattern: { String: ' ' } }, bytes)),
    'EM1104',
    /"String":" "/,
  ],
  [
    'another behavior',
    byteLevelTokenizer(splitByJson(qwen2Expression, { behavior: 'MergedWithNext' })),
    'EM1104',
    /MergedWithNext/,
  ],
  [
    'a regex after a split',
    byteLevelTokenizer(sequence(splitStep(), bytes)),
    'EM1104',
    /use_regex after a Split/,
  ],
  [
    'digits after a split',
    byteLevelTokenizer(sequence(splitStep(), { type: 'Digits' }, bytes)),
    'EM1104',
    /Digits/,
  ],
  [
    'a prefix after a split',
    byteLevelTokenizer(sequence({ type: 'Digits' }, { ...bytes, add_prefix_space: true })),
    'EM1104',
    /every piece/,
  ],
  ['Whitespace', byteLevelTokenizer({ pre_tokenizer: { type: 'Whitespace' } }), 'EM1104', /"Whitespace"/],
  ['another replacement', characterTokenizer(metaspace({ replacement: '_' })), 'EM1104', /replacement/],
  ['another scheme', characterTokenizer(metaspace({ prepend_scheme: 'last' })), 'EM1102', /"last"/],
  [
    'contradicting schemes',
    characterTokenizer(metaspace({ add_prefix_space: false })),
    'EM1104',
    /contradicts/,
  ],
  [
    'an id beyond the embedding',
    byteLevelTokenizer({}, { vocab: { a: 1024 } }),
    'EM1105',
    /id 1024; the embedding has 1024 rows/,
  ],
  [
    'an added id beyond it',
    byteLevelTokenizer({ added_tokens: [added(2000, '<x>')] }),
    'EM1105',
    /"<x>" has id 2000/,
  ],
  [
    'two tokens of one id',
    byteLevelTokenizer({}, { vocab: { a: 1, b: 1 } }),
    'EM1106',
    /"a" and "b" both have id 1/,
  ],
  [
    'an added token of a taken id',
    byteLevelTokenizer({ added_tokens: [added(7, '<x>')] }),
    'EM1106',
    /"<x>" with id 7/,
  ],
  [
    'an added token of two ids',
    byteLevelTokenizer({ added_tokens: [added(900, 'a')] }),
    'EM1106',
    /"a" with id 900/,
  ],
  [
    'an added token twice',
    byteLevelTokenizer({ added_tokens: [added(900, 'x<'), added(901, 'x<')] }),
    'EM1106',
    /"x<" with id 901/,
  ],
  [
    'two added tokens of one id',
    byteLevelTokenizer({ added_tokens: [added(900, 'x<'), added(900, 'y<')] }),
    'EM1106',
    /"y<" with id 900/,
  ],
  ['an unknown unk_token', byteLevelTokenizer({}, { unk_token: '<?>' }), 'EM1106', /unk_token "<\?>"/],
  [
    'no U+2581',
    characterTokenizer({ added_tokens: [] }, { vocab: { '<unk>': 0 }, merges: [] }),
    'EM1106',
    /U\+2581/,
  ],
  [
    'a merge of an unknown token',
    byteLevelTokenizer({}, { merges: ['a xyz'] }),
    'EM1107',
    /merge 0 \("a xyz"\) names "xyz"/,
  ],
  ['a merge to an unknown token', byteLevelTokenizer({}, { merges: [['q', 'q']] }), 'EM1107', /names "qq"/],
  ['NFKC', byteLevelTokenizer({ normalizer: { type: 'NFKC' } }), 'EM1108', /NFKC/],
  [
    'Lowercase in a sequence',
    byteLevelTokenizer({ normalizer: { type: 'Sequence', normalizers: [{ type: 'Lowercase' }] } }),
    'EM1108',
    /Lowercase/,
  ],
  [
    'Prepend alone',
    characterTokenizer({ normalizer: { type: 'Prepend', prepend: '▁' } }),
    'EM1108',
    /Prepend/,
  ],
  ['Replace by something else', characterTokenizer({ normalizer: replace(' ', '_') }), 'EM1108', /"_"/],
  ['no decoder', byteLevelTokenizer({ decoder: null }), 'EM1109', /no decoder/],
  ['WordPiece decoder', byteLevelTokenizer({ decoder: { type: 'WordPiece' } }), 'EM1109', /WordPiece/],
  [
    'Strip without Fuse',
    characterTokenizer(decoders(replace('▁', ' '), { type: 'Strip', content: ' ', start: 1, stop: 0 })),
    'EM1109',
    /Replace, Strip/,
  ],
  [
    'Strip of more',
    characterTokenizer(
      decoders(replace('▁', ' '), { type: 'Fuse' }, { type: 'Strip', content: ' ', start: 1, stop: 1 }),
    ),
    'EM1109',
    /Strip/,
  ],
  ['Replace of another character', characterTokenizer(decoders(replace('_', ' '))), 'EM1109', /"_"/],
  ['bytes decoded as characters', byteLevelTokenizer(decoders(replace('▁', ' '))), 'EM1109', /not in both/],
  ['spaces that stay replaced', characterTokenizer({ normalizer: null }), 'EM1109', /not both/],
  [
    'a token behind the text',
    byteLevelTokenizer({
      post_processor: {
        ...template('<|bos|>', nextId + 1),
        single: [{ Sequence: { id: 'A' } }, { SpecialToken: { id: '<|bos|>' } }],
      },
    }),
    'EM1110',
    /at most one token before/,
  ],
  [
    'a template with another token',
    byteLevelTokenizer({ post_processor: template('<none>', 3) }),
    'EM1110',
    /"<none>"/,
  ],
  [
    'a template with another id',
    byteLevelTokenizer({ post_processor: template('<|bos|>', 3) }),
    'EM1110',
    /"<\|bos\|>"/,
  ],
  [
    'BertProcessing',
    byteLevelTokenizer({ post_processor: { type: 'BertProcessing' } }),
    'EM1110',
    /BertProcessing/,
  ],
  [
    'a token that is a single word',
    byteLevelTokenizer({ added_tokens: [added(900, '<x>', { single_word: true })] }),
    'EM1111',
    /single_word/,
  ],
  [
    'a normalized token with Prepend',
    characterTokenizer({ added_tokens: [added(900, '<x>', { normalized: true })] }),
    'EM1111',
    /normalized/,
  ],
];

function splitStep(): Json {
  return (splitBy(qwen2Expression).pretokenizers as Json[])[0];
}

function splitByJson(expression: string, settings: Json = {}): Json {
  return { pre_tokenizer: splitBy(expression, settings) };
}

t.test('what cannot be used is refused by number and named', async (t) => {
  for (const [name, json, code, why] of refused) {
    t.throws(() => open(t, json), { name: 'EmbedError', code, why }, name);
  }
});

t.test('components may be sequences of sequences; nesting without end is refused', async (t) => {
  const nested = (depth: number) => {
    const normalizer = `${'{"type":"Sequence","normalizers":['.repeat(depth)}{"type":"NFC"}${']}'.repeat(depth)}`;
    return JSON.stringify(byteLevelTokenizer()).replace(
      '"normalizer":null',
      () => `"normalizer":${normalizer}`,
    );
  };
  t.equal(open(t, nested(8)).normalizeNfc, true);
  t.throws(() => open(t, nested(50_000)), { code: 'EM1102', why: /nested/ });
});

t.test('the token before a text', async (t) => {
  const bos = nextId + 1;
  const withTemplate = byteLevelTokenizer({ post_processor: template('<|bos|>', bos) });
  const plain = byteLevelTokenizer();
  t.equal(open(t, withTemplate, {}).bosId, bos);
  t.equal(open(t, withTemplate, null).bosId, bos, 'without tokenizer_config.json');
  t.equal(open(t, withTemplate, { add_bos_token: false }).bosId, null);
  t.equal(open(t, plain, { bos_token: '<|bos|>' }).bosId, null, 'a name alone adds nothing');
  t.equal(open(t, plain, { add_bos_token: true, bos_token: '<|bos|>' }).bosId, bos);
  t.equal(open(t, plain, { add_bos_token: true, bos_token: { content: '<|bos|>' } }).bosId, bos);
  for (const bos_token of ['<none>', null, undefined, 7]) {
    t.throws(() => open(t, plain, { add_bos_token: true, bos_token }), { code: 'EM1110' });
  }
  t.throws(() => open(t, plain, { add_eos_token: true }), { code: 'EM1110', why: /add_eos_token/ });
  t.throws(() => open(t, plain, { add_bos_token: 'yes' }), { code: 'EM1102' });
  const model = open(t, withTemplate);
  t.same([...encodeText(model, '', { bos: true })], [bos]);
  t.same([...encodeText(model, '')], []);
});

t.test('ids without a token decode to nothing', async (t) => {
  const model = open(t, byteLevelTokenizer(), {}, 5000);
  t.equal(model.text.length, 5000);
  t.equal(model.text[4999].length, 0);
});

t.test('where the tokenizer of a checkpoint is looked for', async (t) => {
  const folder = writeTokenizer(t, byteLevelTokenizer());
  t.equal(openTokenizer(folder, 1024).tokenizer?.source, join(folder, 'tokenizer.json'));
  const empty = temporaryFolder(t);
  const reason = `no tokenizer.json, tokenizer.model or vocab.json with merges.txt in ${empty}`;
  t.match(openTokenizer(empty, 1024), { tokenizer: null, reason });
  writeFileSync(join(empty, 'tokenizer.model'), '');
  t.throws(() => openTokenizer(empty, 1024), { code: 'EM1102', why: 'has no tokens' });
  mkdirSync(join(empty, 'tokenizer.json'));
  t.throws(() => openTokenizer(empty, 1024), { code: 'EM1001', why: 'not a regular file' });
});

t.test('2,000 damaged files are refused or read', async (t) => {
  const path = join(writeTokenizer(t, ''), 'tokenizer.json');
  const outcomes = new Map<string, number>();
  for (const contents of fc.sample(damagedFile, { numRuns: 2000, seed: 40 })) {
    writeFileSync(path, contents);
    const outcome = attempt(path);
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  t.notOk(outcomes.has('crash'), JSON.stringify([...outcomes]));
  t.ok(outcomes.size > 8, JSON.stringify([...outcomes]));
});

const fewMerges = ((byteLevelTokenizer().model as Json).merges as string[][]).slice(0, 9);
const soundFile = fc.constantFrom(
  byteLevelTokenizer({ post_processor: template('<|bos|>', nextId + 1) }, { merges: fewMerges }),
  byteLevelTokenizer(
    { normalizer: { type: 'NFC' }, pre_tokenizer: splitBy(qwen2Expression) },
    { merges: fewMerges },
  ),
  characterTokenizer(),
);
const otherValue = fc.constantFrom<unknown>(
  ...[null, 0, -1, 7, 1e99, true, false, '', ' ', '▁', 'a', 'ab', '<s>', '\ud800', [], [[]], ['a', 'b'], {}],
  ...[{ type: 'Sequence' }, { type: 'ByteLevel' }, { type: 'NFC' }, { id: 3, content: 'x' }, { String: ' ' }],
);

/** Files with a value replaced or left out somewhere, with bytes changed, or cut off. */
const damagedFile: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc
    .tuple(soundFile, fc.array(fc.nat(1000), { minLength: 8, maxLength: 8 }), fc.option(otherValue))
    .map(replaceValue),
  fc.tuple(soundFile, fc.nat(), fc.nat(255)).map(([json, at, byte]) => {
    const bytes = Buffer.from(JSON.stringify(json));
    bytes[at % bytes.length] = byte;
    return bytes;
  }),
  fc.tuple(soundFile, fc.nat()).map(([json, end]) => {
    const bytes = Buffer.from(JSON.stringify(json));
    return bytes.subarray(0, end % bytes.length);
  }),
);

/** Walks down from the top, a step for each number, and replaces what it ends at; null leaves it out. */
function replaceValue([json, steps, value]: [Json, number[], unknown]): Buffer {
  const copy = JSON.parse(JSON.stringify(json));
  let holder = copy;
  let key = '';
  for (const step of steps) {
    const inner = key === '' ? copy : holder[key];
    if (typeof inner !== 'object' || inner === null || Object.keys(inner).length === 0) break;
    holder = inner;
    const keys = Object.keys(inner);
    key = keys[step % keys.length];
  }
  if (value === null) delete holder[key];
  else holder[key] = value;
  return Buffer.from(JSON.stringify(copy));
}

function attempt(path: string): string {
  try {
    const model = openTokenizerJson(path, 1024);
    compileTokenizer(model);
    encodeText(model, "It's 12 日本", { bos: true, special: true });
    return 'read';
  } catch (error) {
    return error instanceof EmbedError ? error.code : 'crash';
  }
}
