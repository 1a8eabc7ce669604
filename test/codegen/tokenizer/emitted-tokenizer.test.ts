/** The C of templates/runtime against the TypeScript, id for id and byte for byte. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { compileTokenizer } from '../../../codegen/tokenizer/compile-tokenizer.js';
import { decodeTokens } from '../../../codegen/tokenizer/decode-tokens.js';
import { encodeText } from '../../../codegen/tokenizer/encode-text.js';
import {
  longestDecodedText,
  openTokenizer,
  type TokenizerModel,
} from '../../../codegen/tokenizer/tokenizer.js';
import { openTokenizerJson } from '../../../codegen/tokenizer/tokenizer-json.js';
import { HuggingFace } from './hugging-face.js';
import { corpusLines, needsShared, sharedPath } from './shared-data.js';
import {
  byteLevelTokenizer,
  characterTokenizer,
  llama3Expression,
  mixedText,
  splitBy,
  syntheticTokenizers,
  temporaryFolder,
  writeTokenizer,
} from './synthetic-tokenizers.js';
import {
  compiler,
  needsCompiler,
  sanitizers,
  TokenizerDriver,
  tokenizerSources,
} from './tokenizer-driver.js';
import {
  characterMapOf,
  unigramTokenizer,
  unigramVocabulary,
  whitespaceSplit,
} from './unigram-tokenizers.js';

const vocabSize = 1024;
const needsBoth = { skip: needsCompiler.skip || needsShared('corpora').skip };

function openFolder(folder: string): TokenizerModel {
  return openTokenizerJson(join(folder, 'tokenizer.json'), vocabSize);
}

t.test('the C compiles without a warning as freestanding C11', needsCompiler, async (t) => {
  const warnings = ['-Wall', '-Wextra', '-Werror', '-Wconversion', '-Wvla', '-Wframe-larger-than=2048'];
  for (const source of tokenizerSources) {
    const flags = ['-std=c11', '-O2', '-ffreestanding', ...warnings, '-c', source, '-o', '/dev/null'];
    const { status, stderr } = spawnSync(compiler!, flags, { encoding: 'utf8' });
    t.equal(status, 0, `${source}: ${stderr}`);
  }
  t.ok(tokenizerSources.length > 4);
});

t.test('under AddressSanitizer and UBSan', needsCompiler, async (t) => {
  const driver = new TokenizerDriver(temporaryFolder(t), sanitizers);

  for (const { name, json, config } of syntheticTokenizers) {
    t.test(`${name}: texts`, async (t) => {
      const model = openFolder(writeTokenizer(t, json, config));
      const texts: (string | Uint8Array)[] = fc.sample(mixedText, { numRuns: 500, seed: 30 });
      texts.push('', ' ', '▁', ...fc.sample(fc.uint8Array({ maxLength: 30 }), { numRuns: 200, seed: 31 }));
      requireEqual(t, driver, model, texts);
    });
  }

  t.test('a Unigram vocabulary with bytes and a map of strings: texts', async (t) => {
    const model = openFolder(writeTokenizer(t, mappedUnigram()));
    const part = fc.constantFrom('ﬁ', 'é', 'e\u0301', 'ﷺ', 'the ', 'fox', '▁', 'x ', '\t', '漢', '\0');
    const texts = fc.sample(
      fc.oneof(
        mixedText,
        fc.array(part).map((parts) => parts.join('')),
      ),
      {
        numRuns: 500,
        seed: 33,
      },
    );
    requireEqual(t, driver, model, texts);
    const [once, twice] = ['ﬁx  ﷺ', 'fix upon him be peace and a blessing'].map((text) =>
      encodeText(model, text),
    );
    t.same(once, twice);
  });

  t.test('any ids', async (t) => {
    for (const json of [byteLevelTokenizer({}, { merges: [] }), characterTokenizer()]) {
      const model = openFolder(writeTokenizer(t, json));
      const id = fc.oneof(fc.constantFrom(...model.byteIds), fc.integer({ min: 0, max: vocabSize - 1 }));
      const records = fc.sample(fc.array(id, { maxLength: 40 }), { numRuns: 500, seed: 32 });
      const results = driver.run(
        compileTokenizer(model),
        records.map((ids) => ({ ids })),
      );
      const different = results.filter(({ ids, text }) => text !== decodeTokens(model, ids));
      t.same(different, []);
    }
  });

  t.test('arguments that must be refused', async (t) => {
    const model = openFolder(writeTokenizer(t, byteLevelTokenizer()));
    t.equal(driver.runMode(compileTokenizer(model), 'interface'), '');
  });

  t.test('text without tokens', async (t) => {
    const json = characterTokenizer({}, { byte_fallback: false, unk_token: null });
    const model = openFolder(writeTokenizer(t, json));
    const [result] = driver.run(compileTokenizer(model), [{ text: 'fox 日' }]);
    t.equal(result.status, 15, 'EM_E_TEXT');
    t.throws(() => encodeText(model, 'fox 日'), { code: 'EM1112' });
  });

  t.test('damaged tables are refused or do no harm', async (t) => {
    const everything = byteLevelTokenizer(
      { ...qwen2().json, pre_tokenizer: splitBy(llama3Expression) },
      { ignore_merges: true },
    );
    const unknown = characterTokenizer({}, { byte_fallback: false });
    for (const json of [everything, characterTokenizer(), unknown, mappedUnigram()]) {
      const model = openFolder(writeTokenizer(t, json));
      const opened = Number(driver.runMode(compileTokenizer(model), 'mutate', '7', '4000'));
      t.ok(opened > 300 && opened < 3700, `${opened} of 4000 opened`);
    }
  });

  for (const name of ['os-nano', 'os-tiny', 'prose-gpt2']) {
    t.test(
      `${name}: the cases of its oracle, and 500 lines`,
      needsShared(`models/${name}`, 'corpora'),
      async (t) => {
        const { tokenizer, folder } = openShared(name);
        const oracle = JSON.parse(readFileSync(join(folder, 'oracle.json'), 'utf8'));
        const cases: { text: string; ids: number[]; decoded: string }[] = oracle.tokenizer;
        t.same(
          driver.run(
            compileTokenizer(tokenizer),
            cases.map(({ text }) => ({ text })),
          ),
          cases.map(({ ids, decoded }) => ({ status: 0, ids, text: decoded })),
        );
        requireEqual(t, driver, tokenizer, corpusLines('os_validation.txt', 500));
      },
    );
  }
});

t.test('optimized', needsCompiler, async (t) => {
  const driver = new TokenizerDriver(temporaryFolder(t), ['-O2']);

  t.test('100,000 equal letters take about linear time', async (t) => {
    for (const json of [byteLevelTokenizer(), characterTokenizer()]) {
      const bpe = json.model as { vocab: Record<string, number>; merges: string[][] };
      for (let length = 1; length < 64; length *= 2) {
        const half = 'a'.repeat(length);
        bpe.vocab[half + half] ??= 700 + length;
        bpe.merges.push([half, half]);
      }
      const model = openFolder(writeTokenizer(t, json));
      const text = 'a'.repeat(100_000);
      const table = compileTokenizer(model);
      const start = performance.now();
      const [result] = driver.run(table, [{ text, special: true }]);
      t.ok(performance.now() - start < 2000);
      t.same(result.ids, [...encodeText(model, text)]);
    }
  });

  for (const name of ['os-nano', 'os-tiny']) {
    const needs = needsShared(`models/${name}`, 'corpora');
    t.test(`${name}: 2,000 lines equal @huggingface/tokenizers`, needs, async (t) => {
      const { tokenizer, folder } = openShared(name);
      const other = new HuggingFace(folder);
      const lines = corpusLines('os_validation.txt', 2000);
      const records = lines.map((text) => ({ text, bos: true, special: true }));
      const results = driver.run(compileTokenizer(tokenizer), records);
      const different = lines.filter((line, i) => {
        const ids = other.encode(line, true);
        return results[i].ids.join() !== ids.join() || results[i].text !== other.decode(ids);
      });
      t.equal(results.length, 2000);
      t.same(different, []);
    });
  }
});

t.test('Unigram: 2,000 lines equal @huggingface/tokenizers', needsBoth, async (t) => {
  const driver = new TokenizerDriver(temporaryFolder(t), ['-O2']);
  const lines = corpusLines('prose_validation.txt', 2000);
  const vocab = unigramVocabulary(lines.slice(0, 1000).join('\n'), 3000, false);
  for (const components of [{}, whitespaceSplit]) {
    const folder = writeTokenizer(t, unigramTokenizer(vocab, components));
    const model = openTokenizerJson(join(folder, 'tokenizer.json'), vocab.length);
    const other = new HuggingFace(folder);
    const results = driver.run(
      compileTokenizer(model),
      lines.map((text) => ({ text, special: true })),
    );
    const different = lines.filter((line, i) => {
      const ids = other.encode(line, false);
      return results[i].ids.join() !== ids.join() || [...encodeText(model, line)].join() !== ids.join();
    });
    t.same(different, []);
    t.ok(results.reduce((sum, { ids }) => sum + ids.length, 0) > 50_000);
  }
});

t.test('the table is the same for the same model, and says how much text a token can make', async (t) => {
  const folder = writeTokenizer(t, qwen2().json);
  const model = openFolder(folder);
  t.same(compileTokenizer(model), compileTokenizer(openFolder(folder)));
  const longest = Math.max(...model.text.map((text) => text.length));
  t.equal(longestDecodedText(model), 3 * (longest + 1));
  t.equal(new DataView(compileTokenizer(model).buffer).getUint32(44, true), longest);
});

/** Bytes for unknown characters, and a map of which one string is the beginning of another. */
function mappedUnigram() {
  const vocab = unigramVocabulary('the fox and the dog, upon a fine fix; he can be at peace', 420, true);
  const map = { ﬁ: 'fi', e: 'e', 'e\u0301': 'é', ﷺ: 'upon him be peace and a blessing', '\t': ' ' };
  const precompiled_charsmap = characterMapOf(map).toString('base64');
  const strip = { type: 'Strip', strip_left: true, strip_right: true };
  const replace = { type: 'Replace', pattern: { Regex: ' {2,}' }, content: ' ' };
  const normalizers = [{ type: 'Precompiled', precompiled_charsmap }, strip, replace];
  return unigramTokenizer(vocab, { normalizer: { type: 'Sequence', normalizers } }, { byte_fallback: true });
}

function qwen2() {
  return syntheticTokenizers.find(({ name }) => name === 'Qwen 2')!;
}

/** The C gives the ids and the text of the TypeScript. */
function requireEqual(
  t: Test,
  driver: TokenizerDriver,
  model: TokenizerModel,
  texts: readonly (string | Uint8Array)[],
): void {
  const results = driver.run(
    compileTokenizer(model),
    texts.map((text) => ({ text, bos: true, special: true })),
  );
  const different = texts.filter((text, i) => {
    const { status, ids, text: decoded } = results[i];
    const expected = [...encodeText(model, text, { bos: true, special: true })];
    return status !== 0 || ids.join() !== expected.join() || decoded !== decodeTokens(model, expected);
  });
  t.same(different, []);
}

function openShared(name: string) {
  const folder = sharedPath('models', name);
  const sizes: Record<string, number> = { 'os-nano': 4096, 'os-tiny': 8192, 'prose-gpt2': 8192 };
  const found = openTokenizer(folder, sizes[name]);
  if (found.tokenizer === null) throw new Error(found.reason);
  return { tokenizer: found.tokenizer, folder };
}
