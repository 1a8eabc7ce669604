import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { decodeTokens, TextDecoding } from '../../../codegen/tokenizer/decode-tokens.js';
import { encodeText } from '../../../codegen/tokenizer/encode-text.js';
import { openTokenizer, type TokenizerModel } from '../../../codegen/tokenizer/tokenizer.js';
import { openTokenizerJson } from '../../../codegen/tokenizer/tokenizer-json.js';
import { HuggingFace } from './hugging-face.js';
import { corpusLines, needsShared, sharedPath } from './shared-data.js';
import {
  added,
  byteLevelTokenizer,
  characterTokenizer,
  llama3Expression,
  mixedText,
  qwen2Expression,
  splitBy,
  syntheticTokenizers,
  writeTokenizer,
} from './synthetic-tokenizers.js';

const vocabSize = 1024;

function openFolder(folder: string, size = vocabSize): TokenizerModel {
  return openTokenizerJson(join(folder, 'tokenizer.json'), size);
}

for (const { name, json, config, notComparable } of syntheticTokenizers) {
  t.test(`${name}: ids and text equal @huggingface/tokenizers`, async (t) => {
    const folder = writeTokenizer(t, json, config);
    const model = openFolder(folder);
    const other = new HuggingFace(folder);
    fc.assert(
      fc.property(mixedText, fc.boolean(), (text, bos) => {
        fc.pre(!notComparable?.test(text));
        const ids = [...encodeText(model, text, { bos, special: true })];
        const expected = other.encode(text, bos);
        return ids.join() === expected.join() && decodeTokens(model, ids) === other.decode(expected);
      }),
      { numRuns: 600, seed: 20 },
    );
  });

  t.test(`${name}: any ids decode as in @huggingface/tokenizers`, async (t) => {
    const folder = writeTokenizer(t, json, config);
    const model = openFolder(folder);
    const other = new HuggingFace(folder);
    const known = model.text.flatMap((text, id) => (text.length > 0 ? [id] : []));
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...known), { maxLength: 40 }), (ids) => {
        const text = decodeTokens(model, ids);
        // That library drops U+FEFF at the start of a run of byte tokens.
        fc.pre(!text.includes('\ufeff'));
        return text === other.decode(ids);
      }),
      { numRuns: 300, seed: 21 },
    );
  });
}

t.test('white space, digits and case are those of Unicode, as in the Rust original', async (t) => {
  const open = (expression: object, pairs: string[][]) => {
    const json = byteLevelTokenizer({ pre_tokenizer: expression }, { merges: pairs });
    const { vocab } = json.model as { vocab: Record<string, number> };
    for (const [i, [left, right]] of pairs.entries()) vocab[left + right] ??= 600 + i;
    return openFolder(writeTokenizer(t, json));
  };
  const count = (model: TokenizerModel, text: string) => encodeText(model, text).length;
  const gpt2 = { type: 'ByteLevel', add_prefix_space: false, use_regex: true };
  // U+0085 is white space, so that a dot behind it starts a piece; U+FEFF is not.
  const spaces = open(gpt2, [
    ['Â', 'ħ'],
    ['Âħ', '.'],
    ['ï', '»'],
    ['ï»', '¿'],
    ['ï»¿', '.'],
  ]);
  t.equal(count(spaces, '\u0085.'), 2);
  t.equal(count(spaces, '\ufeff.'), 1);
  // Arabic digits are digits.
  const arabic = [
    ['Ù', '£'],
    ['Ù', '¤'],
    ['Ù£', 'Ù¤'],
  ];
  const digits = (individual: boolean) => {
    const steps = [{ type: 'Digits', individual_digits: individual }, gpt2];
    return open({ type: 'Sequence', pretokenizers: steps }, arabic);
  };
  t.equal(count(digits(true), '٣٤'), 2);
  t.equal(count(digits(false), '٣٤'), 1);
  // The long s is an s where case is ignored: 'ſ is cut off as a contraction.
  const long = [
    ['Å', '¿'],
    ["'", 'Å¿'],
    ["'Å¿", 'x'],
  ];
  t.equal(count(open(splitBy(llama3Expression), long), "'ſx"), 2);
});

t.test('special tokens are recognised only where asked for', async (t) => {
  const model = openFolder(writeTokenizer(t, byteLevelTokenizer()));
  const end = model.added.find(({ content }) => Buffer.from(content).toString() === '<|endoftext|>')!.id;
  t.same([...encodeText(model, '<|endoftext|>', { special: true })], [end]);
  const plain = encodeText(model, '<|endoftext|>');
  t.notOk(plain.includes(end));
  t.equal(decodeTokens(model, plain), '<|endoftext|>');
  t.equal(decodeTokens(model, [end]), '', 'special tokens add nothing to decoded text');
});

t.test('text without tokens is refused by number', async (t) => {
  const json = characterTokenizer({}, { byte_fallback: false, unk_token: null });
  const model = openFolder(writeTokenizer(t, json));
  t.throws(() => encodeText(model, 'fox 日'), { code: 'EM1112', why: /"日" \(bytes e6 97 a5\)/ });
});

t.test('bytes that are no UTF-8 are encoded as bytes', async (t) => {
  for (const json of [byteLevelTokenizer(), characterTokenizer({ post_processor: null })]) {
    const model = openFolder(writeTokenizer(t, json));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const encoded = Array.from(encodeText(model, bytes), (id) => model.text[id]);
        const text = Buffer.concat(encoded);
        return Buffer.compare(json.normalizer ? text.subarray(bytes.length > 0 ? 1 : 0) : text, bytes) === 0;
      }),
      { numRuns: 300, seed: 22 },
    );
  }
});

t.test('decoding waits for whole characters', async (t) => {
  const model = openFolder(writeTokenizer(t, byteLevelTokenizer({}, { merges: [] })));
  const decoding = new TextDecoding(model);
  const ids = encodeText(model, '😀é');
  t.same(
    Array.from(ids, (id) => decoding.write(id)),
    ['', '', '', '😀', '', 'é'],
  );
  t.equal(decoding.write(ids[0]) + decoding.write(ids[1]), '');
  t.equal(decoding.end(), '\ufffd');
  t.equal(decodeTokens(model, [ids[0], ids[0]]), '\ufffd\ufffd');
  t.throws(() => decoding.write(vocabSize), RangeError);
});

t.test('encoding 100,000 equal letters takes about linear time', async (t) => {
  for (const json of [byteLevelTokenizer(), characterTokenizer()]) {
    const bpe = json.model as { vocab: Record<string, number>; merges: string[][] };
    for (let length = 1; length < 64; length *= 2) {
      const half = 'a'.repeat(length);
      bpe.vocab[half + half] ??= 700 + length;
      bpe.merges.push([half, half]);
    }
    const model = openFolder(writeTokenizer(t, json));
    const start = performance.now();
    const ids = encodeText(model, 'a'.repeat(100_000));
    t.ok(performance.now() - start < 2000);
    t.equal(decodeTokens(model, ids).length, 100_000);
    t.ok(ids.length < 100_000 / 60, `${ids.length} tokens`);
  }
});

for (const name of ['os-nano', 'os-tiny', 'prose-gpt2']) {
  t.test(`${name}: every tokenizer case of its oracle`, needsShared(`models/${name}`), async (t) => {
    const { tokenizer, cases } = openShared(name);
    for (const { text, ids, decoded } of cases) {
      t.same([...encodeText(tokenizer, text)], ids, JSON.stringify(text));
      t.equal(decodeTokens(tokenizer, ids), decoded);
    }
  });
}

for (const name of ['os-nano', 'os-tiny']) {
  t.test(
    `${name}: 2,000 lines equal @huggingface/tokenizers`,
    needsShared(`models/${name}`, 'corpora'),
    async (t) => {
      const { tokenizer } = openShared(name);
      const other = new HuggingFace(sharedPath('models', name));
      const lines = corpusLines('os_validation.txt', 2000);
      const different = lines.filter((line) => {
        const ids = [...encodeText(tokenizer, line, { bos: true, special: true })];
        const expected = other.encode(line, true);
        return ids.join() !== expected.join() || decodeTokens(tokenizer, ids) !== other.decode(expected);
      });
      t.equal(lines.length, 2000);
      t.same(different, []);
    },
  );
}

for (const [name, expression] of Object.entries({ 'Llama 3': llama3Expression, 'Qwen 2': qwen2Expression })) {
  t.test(
    `vocabulary of GPT-2 with the expression of ${name}`,
    needsShared('models/gpt2-tokenizer', 'corpora'),
    async (t) => {
      const folder = writeTokenizer(t, gpt2With(splitBy(expression)));
      const model = openFolder(folder, 50257);
      const other = new HuggingFace(folder);
      const lines = corpusLines('os_validation.txt', 300);
      for (let i = 0; i < lines.length; i += 3) lines.push(`${lines.slice(i, i + 3).join('\n')}\n`);
      lines.push(...fc.sample(mixedText, { numRuns: 400, seed: 23 }).filter((text) => !text.includes('ſ')));
      const different = lines.filter((line) => {
        return encodeText(model, line, { special: true }).join() !== other.encode(line, true).join();
      });
      t.same(different, []);
    },
  );
}

function openShared(name: string) {
  const folder = sharedPath('models', name);
  const read = (file: string) => JSON.parse(readFileSync(join(folder, file), 'utf8'));
  const found = openTokenizer(folder, read('config.json').vocab_size);
  if (found.tokenizer === null) throw new Error(found.reason);
  const cases: { text: string; ids: number[]; decoded: string }[] = read('oracle.json').tokenizer;
  return { tokenizer: found.tokenizer, cases };
}

/** The published vocabulary of GPT-2 as a tokenizer.json with another pre-tokenizer. */
function gpt2With(preTokenizer: object) {
  const read = (file: string) => readFileSync(sharedPath('models', 'gpt2-tokenizer', file), 'utf8');
  const vocab = JSON.parse(read('vocab.json'));
  const merges = read('merges.txt').split('\n');
  return byteLevelTokenizer(
    { pre_tokenizer: preTokenizer, added_tokens: [added(50256, '<|endoftext|>')] },
    { vocab, merges: merges.filter((line) => line !== '' && !line.startsWith('#version')) },
  );
}
