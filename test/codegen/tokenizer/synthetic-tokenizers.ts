/** Small tokenizers of every supported kind, trained here on a few lines, and texts to try them on. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import type { Test } from 'tap';
import { unigramTokenizer, unigramVocabulary, whitespaceSplit } from './unigram-tokenizers.js';

export type Json = Record<string, unknown>;

export interface SyntheticTokenizer {
  readonly name: string;
  readonly json: Json;
  readonly config: Json;
  /** Texts that @huggingface/tokenizers treats otherwise than the Rust original; see the comment at each. */
  readonly notComparable?: RegExp;
}

const corpus = [
  "It's the model's 1st answer: don't we'll they've I'm you'd she'll HE'S WE'LL",
  'the quick brown fox jumps over the lazy dog, and the dog does not jump over the fox',
  'int main(void) { return 0; }  /* x86_64 0xdeadbeef 1234567 2024-11-20 */',
  'l’été naïve café déjà vu où ça, Größe Übermut straße, señor niño',
  '日本語の文章です。中文的句子。日本の中の日本 한국어 문장입니다 한국의 한국',
  'emoji 😀😀 👍🏽 ❤️ и русский текст и ещё русский, ελληνικά και πάλι ελληνικά',
  'tabs\tand\t\ttabs  two   three    four\n\nlines\r\nend \u00a0\u2003\u3000 ٣٤٥ Ⅷ ½',
  '<tag> 3.14 + 2.72 = 5.86 !!! ??? ... ---- ==== a_b c-d e/f g\\h "q" \'r\'',
].join('\n');

const gpt2Words = /'(?:[stmd]|re|ve|ll)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/** The most frequent pair of neighbours becomes a token, `count` times. */
function trainMerges(words: readonly string[][], count: number): [string, string][] {
  const merges: [string, string][] = [];
  let current = words.map((word) => [...word]);
  while (merges.length < count) {
    const counts = new Map<string, number>();
    for (const word of current) {
      for (let i = 1; i < word.length; i++) {
        const pair = JSON.stringify([word[i - 1], word[i]]);
        counts.set(pair, (counts.get(pair) ?? 0) + 1);
      }
    }
    const best = [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))[0];
    const [left, right] = JSON.parse(best[0]) as [string, string];
    merges.push([left, right]);
    current = current.map((word) => mergePair(word, left, right));
  }
  return merges;
}

function mergePair(word: readonly string[], left: string, right: string): string[] {
  const merged: string[] = [];
  for (let i = 0; i < word.length; i++) {
    const together = word[i] === left && word[i + 1] === right;
    merged.push(together ? left + right : word[i]);
    if (together) i++;
  }
  return merged;
}

function model(alphabet: readonly string[], merges: readonly [string, string][], settings: Json = {}): Json {
  const tokens = new Set([...alphabet, ...merges.map(([a, b]) => a + b)]);
  const vocab = Object.fromEntries(Array.from(tokens, (token, id) => [token, id]));
  return {
    type: 'BPE',
    dropout: null,
    unk_token: null,
    fuse_unk: false,
    byte_fallback: false,
    ignore_merges: false,
    vocab,
    merges: [...merges],
    ...settings,
  };
}

const bytes = Array.from({ length: 256 }, (_, byte) => byteToCharacter(byte));

/** The character of GPT-2's byte alphabet: printable Latin-1 stands for itself, the rest follows U+0100. */
function byteToCharacter(byte: number): string {
  const printable = (b: number) => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  if (printable(byte)) return String.fromCharCode(byte);
  let before = 0;
  for (let b = 0; b < byte; b++) if (!printable(b)) before++;
  return String.fromCharCode(256 + before);
}

const byteLevelWords = Array.from(corpus.matchAll(gpt2Words), ([word]) =>
  Array.from(Buffer.from(word), byteToCharacter),
);
/**
 * The last ones tell whether ' and the long s are cut off as a contraction, before they merge with what
 * follows.
 */
const byteLevelMerges: readonly [string, string][] = [
  ...trainMerges(byteLevelWords, 250),
  ['Å', '¿'],
  ['Å¿', 'x'],
  ["'", 'Å¿'],
];

export function added(id: number, content: string, settings: Json = {}): Json {
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  return { id, content, ...flags, ...settings };
}

/** A tokenizer over bytes with the given components; two special tokens behind the vocabulary. */
export function byteLevelTokenizer(components: Json = {}, settings: Json = {}): Json {
  const bpe = model(bytes, byteLevelMerges, settings);
  const next = Object.keys(bpe.vocab as Json).length;
  return {
    version: '1.0',
    added_tokens: [added(next, '<|endoftext|>'), added(next + 1, '<|bos|>')],
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: bpe,
    ...components,
  };
}

const byteNames = Array.from({ length: 256 }, (_, byte) => {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
});

/** A tokenizer over characters with U+2581 for spaces, as converted from SentencePiece. */
export function characterTokenizer(components: Json = {}, settings: Json = {}): Json {
  const text = corpus.split('\n').slice(0, 4).join('\n').replaceAll(' ', '▁');
  const words = `▁${text}`.split(/(?=▁)/u).map((word) => [...word]);
  const alphabet = [...new Set(['▁', ...text])];
  const bpe = model(['<unk>', '<s>', '</s>', ...byteNames, ...alphabet], trainMerges(words, 150), {
    unk_token: '<unk>',
    fuse_unk: true,
    byte_fallback: true,
    ...settings,
  });
  const replace = { type: 'Replace', pattern: { String: ' ' }, content: '▁' };
  const spaces = { type: 'Replace', pattern: { String: '▁' }, content: ' ' };
  const strip = { type: 'Strip', content: ' ', start: 1, stop: 0 };
  return {
    version: '1.0',
    added_tokens: [added(0, '<unk>'), added(1, '<s>'), added(2, '</s>')],
    normalizer: { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '▁' }, replace] },
    pre_tokenizer: null,
    post_processor: template('<s>', 1),
    decoder: { type: 'Sequence', decoders: [spaces, { type: 'ByteFallback' }, { type: 'Fuse' }, strip] },
    model: bpe,
    ...components,
  };
}

/** A post-processor that puts one token before the text. */
export function template(token: string, id: number): Json {
  const text = { Sequence: { id: 'A', type_id: 0 } };
  return {
    type: 'TemplateProcessing',
    single: [{ SpecialToken: { id: token, type_id: 0 } }, text],
    pair: [text, { Sequence: { id: 'B', type_id: 1 } }],
    special_tokens: { [token]: { id: token, ids: [id], tokens: [token] } },
  };
}

const contraction = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const words = '[^\\r\\n\\p{L}\\p{N}]?\\p{L}+';
const symbols = ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*';
const spaces = '\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
export const llama3Expression = `${contraction}|${words}|\\p{N}{1,3}|${symbols}|${spaces}`;
export const qwen2Expression = `${contraction}|${words}|\\p{N}|${symbols}|${spaces}`;
/** GPT-4 as OpenAI writes it today. */
export const gpt4Expression = [
  "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}{1,3}",
  ' ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+',
].join('|');

const plainByteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false };

/** Split by an expression, then ByteLevel. */
export function splitBy(expression: string, settings: Json = {}): Json {
  const split = { type: 'Split', pattern: { Regex: expression }, behavior: 'Isolated', invert: false };
  return { type: 'Sequence', pretokenizers: [{ ...split, ...settings }, plainByteLevel] };
}

/** The first id behind the vocabulary of byteLevelTokenizer. */
export const nextId = new Set([...bytes, ...byteLevelMerges.map(([a, b]) => a + b)]).size;

/** JavaScript's \s, which that library uses for the expression of GPT-2, has U+FEFF and lacks U+0085. */
const otherWhiteSpace = /[\ufeff\u0085]/u;
/** That library drops U+FEFF where it decodes a run of byte tokens. */
const byteOrderMark = /\ufeff/u;
/** That library does not count the long s as an s where case is ignored. */
const longS = /ſ/u;

function metaspace(scheme: string, split = false): Json {
  return characterTokenizer({
    normalizer: null,
    pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: scheme, split },
  });
}

export const syntheticTokenizers: readonly SyntheticTokenizer[] = [
  { name: 'GPT-2', json: byteLevelTokenizer(), config: {}, notComparable: otherWhiteSpace },
  {
    name: 'GPT-2 with prefix space',
    json: byteLevelTokenizer({
      pre_tokenizer: { type: 'ByteLevel', add_prefix_space: true, use_regex: true },
    }),
    config: {},
    notComparable: otherWhiteSpace,
  },
  {
    name: 'Llama 3',
    json: byteLevelTokenizer(
      {
        pre_tokenizer: splitBy(llama3Expression),
        post_processor: {
          type: 'Sequence',
          processors: [{ type: 'ByteLevel', trim_offsets: false }, template('<|bos|>', nextId + 1)],
        },
      },
      { ignore_merges: true, merges: byteLevelMerges.slice(0, 120) },
    ),
    config: {},
    notComparable: longS,
  },
  {
    name: 'GPT-4',
    json: byteLevelTokenizer({ pre_tokenizer: splitBy(gpt4Expression) }),
    config: {},
    notComparable: longS,
  },
  {
    name: 'Qwen 2',
    json: byteLevelTokenizer({
      normalizer: { type: 'NFC' },
      pre_tokenizer: splitBy(qwen2Expression, { behavior: 'Removed', invert: true }),
      added_tokens: [
        added(nextId, '<|endoftext|>'),
        added(nextId + 1, '<|left|>', { lstrip: true }),
        added(nextId + 2, '<|right|>', { rstrip: true, special: false }),
        added(nextId + 3, 'Cafe\u0301', { normalized: true, special: false }),
        added(nextId + 4, '<|endoftext|><|endoftext|>'),
      ],
    }),
    config: { add_bos_token: false, bos_token: null },
    notComparable: /[\ufeff\u0085ſ]/u,
  },
  {
    name: 'SmolLM',
    json: byteLevelTokenizer({
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: [
          { type: 'Digits', individual_digits: true },
          { ...plainByteLevel, use_regex: true },
        ],
      },
    }),
    config: { add_bos_token: false },
    // Digits are \p{N} in the Rust original, [0-9] in that library.
    notComparable: /[\ufeff\u0085]|(?![0-9])\p{N}/u,
  },
  {
    name: 'runs of digits',
    json: byteLevelTokenizer({
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: [{ type: 'Digits', individual_digits: false }, plainByteLevel],
      },
    }),
    config: {},
    notComparable: /(?![0-9])\p{N}/u,
  },
  {
    name: 'Llama 2',
    json: characterTokenizer(),
    config: { add_bos_token: true, bos_token: '<s>' },
    notComparable: byteOrderMark,
  },
  { name: 'Metaspace always', json: metaspace('always'), config: {}, notComparable: byteOrderMark },
  {
    name: 'Metaspace first',
    json: metaspace('first'),
    config: { bos_token: { content: '<s>' } },
    notComparable: byteOrderMark,
  },
  { name: 'Metaspace never', json: metaspace('never'), config: {}, notComparable: byteOrderMark },
  { name: 'unknown characters', json: characterTokenizer({}, { byte_fallback: false }), config: {} },
  {
    name: 'Metaspace that splits',
    json: metaspace('always', true),
    config: {},
    notComparable: byteOrderMark,
  },
  {
    name: 'Unigram',
    json: unigramTokenizer(unigramVocabulary(corpus, 500, false)),
    config: {},
    notComparable: otherWhiteSpace,
  },
  {
    name: 'Unigram of words',
    json: unigramTokenizer(unigramVocabulary(corpus, 500, false), whitespaceSplit),
    config: {},
    notComparable: otherWhiteSpace,
  },
];

/** Texts full of what pre-tokenizers, normalizers and added tokens care about. */
export const mixedText: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        "'s",
        "'LL",
        "'Ve",
        " 'd",
        'the',
        ' model',
        'don',
        "'t",
        'x',
        'HELLO',
        'ſ',
        "'ſ",
        '▁',
        '▁▁',
      ),
      fc.constantFrom(
        ' ',
        '  ',
        '   ',
        '\t',
        '\n',
        '\r\n',
        '\n\n',
        '\u00a0',
        '\u3000',
        '\u2028',
        '\u0085',
        '\ufeff',
      ),
      fc.constantFrom(
        '1',
        '12',
        '345',
        '67890',
        '٣٤',
        'Ⅷ',
        '½',
        '²',
        '0x1F',
        '3.14',
        '-',
        '...',
        '!?',
        '_',
        '{}',
        '"',
      ),
      fc.constantFrom(
        'é',
        'e\u0301',
        'Café',
        'Cafe\u0301',
        '日本語',
        '中',
        '한국어',
        '\u1112\u1161\u11ab',
        '가',
        '\u11a8',
      ),
      fc.constantFrom(
        '😀',
        '👍🏽',
        '❤️',
        'q\u0307\u0323',
        'a\u0315\u0300\u05ae\u0300',
        '\u0344',
        'Å',
        '\ufb2c',
        'ё',
      ),
      fc.constantFrom(
        '<|endoftext|>',
        '<|left|>',
        '<|right|>',
        '<|end',
        '<s>',
        '</s>',
        '<unk>',
        '<0x41>',
        '<|bos|>',
      ),
      fc.string({ unit: 'binary', maxLength: 4 }),
      fc.string({ maxLength: 8 }),
    ),
    { maxLength: 24 },
  )
  .map((parts) => parts.join(''));

/**
 * Writes tokenizer.json and tokenizer_config.json into a folder that goes when the test ends. Returns the
 * folder.
 */
export function writeTokenizer(t: Test, json: unknown, config: unknown = {}): string {
  const folder = temporaryFolder(t);
  const text = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value));
  writeFileSync(join(folder, 'tokenizer.json'), text(json));
  if (config !== null) writeFileSync(join(folder, 'tokenizer_config.json'), text(config));
  return folder;
}

export function temporaryFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'em-tokenizer-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
