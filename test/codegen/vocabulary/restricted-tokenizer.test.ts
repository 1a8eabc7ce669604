/** Models that have rows for some tokens of a vocabulary: ids, what is passed through, and the C. */
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { compileTokenizer } from '../../../codegen/tokenizer/compile-tokenizer.js';
import { decodeTokens } from '../../../codegen/tokenizer/decode-tokens.js';
import { encodeText } from '../../../codegen/tokenizer/encode-text.js';
import { openTokenizer, type TokenizerModel } from '../../../codegen/tokenizer/tokenizer.js';
import { openVocabMerges } from '../../../codegen/tokenizer/vocab-merges.js';
import { mergeClosure } from '../../../codegen/vocabulary/kept-tokens.js';
import { expectError } from '../checkpoint/expect-error.js';
import { needsShared, sharedPath } from '../tokenizer/shared-data.js';
import { byteLevelTokenizer, temporaryFolder } from '../tokenizer/synthetic-tokenizers.js';
import { needsCompiler, sanitizers, TokenizerDriver } from '../tokenizer/tokenizer-driver.js';

t.setTimeout(300_000);
const text = 'the quick brown fox jumps over the lazy dog';

/** A folder with vocab.json and merges.txt, and the full tokenizer of them. */
function writeVocabulary(folder: string): TokenizerModel {
  mkdirSync(folder, { recursive: true });
  const { vocab, merges } = (byteLevelTokenizer() as { model: { vocab: unknown; merges: string[][] } }).model;
  writeFileSync(join(folder, 'vocab.json'), JSON.stringify(vocab));
  writeFileSync(join(folder, 'merges.txt'), merges.map((pair) => pair.join(' ')).join('\n'));
  return openVocabMerges(join(folder, 'vocab.json'), join(folder, 'merges.txt'), 1024);
}

function open(folder: string, list: unknown, rows: number): TokenizerModel {
  writeFileSync(join(folder, 'pruned_vocab.json'), typeof list === 'string' ? list : JSON.stringify(list));
  const found = openTokenizer(folder, rows);
  if (found.tokenizer === null) throw new Error(found.reason);
  return found.tokenizer;
}

t.test('text of listed tokens gets their places in the list, in TypeScript and in C', needsCompiler, (t) => {
  const folder = temporaryFolder(t);
  const full = writeVocabulary(folder);
  const listed = [...new Set(encodeText(full, text))].sort((a, b) => a - b);
  const passed = mergeClosure(full, listed).length - listed.length;
  t.ok(passed > 5, `${passed} tokens are passed through`);
  const model = open(folder, listed, listed.length);
  t.equal(model.passing, passed);
  const expected = [...encodeText(full, text)].map((id) => listed.indexOf(id));
  t.same([...encodeText(model, text)], expected);
  t.equal(decodeTokens(model, expected), text);
  t.throws(() => encodeText(model, 'jumpq'), { code: 'EM1112' });
  const driver = new TokenizerDriver(folder, sanitizers);
  const passes = [...encodeText(full, 'th')].every((id) => !listed.includes(id));
  t.ok(passes, 'merging "th" ends in a token without a row');
  t.throws(() => encodeText(model, 'th'), { code: 'EM1112' });
  const [whole, unlisted, stopped] = driver.run(compileTokenizer(model), [
    { text },
    { text: 'jumpq' },
    { text: 'th' },
  ]);
  t.same(whole, { status: 0, ids: expected, text });
  t.equal(unlisted!.status, 15, 'EM_E_TEXT');
  t.equal(stopped!.status, 15, 'EM_E_TEXT');
  t.same(
    [
      ...encodeText(
        open(
          folder,
          listed.map((id) => ({ id, b64: Buffer.from(full.text[id]!).toString('base64') })),
          listed.length,
        ),
        text,
      ),
    ],
    expected,
  );
  t.end();
});

t.test('lists that do not fit are refused', (t) => {
  const folder = temporaryFolder(t);
  writeVocabulary(folder);
  const opening = (list: unknown, rows: number) => () => open(folder, list, rows);
  expectError(t, 'EM1102', /not JSON/, opening('[1,', 1));
  expectError(t, 'EM1102', /not a JSON array/, opening('{}', 1));
  expectError(t, 'EM1102', /entry 1 is no number/, opening([1, 'a'], 2));
  expectError(t, 'EM1105', /lists 2 tokens, the embedding has 3 rows/, opening([1, 2], 3));
  expectError(t, 'EM1106', /entry 1 names token 1: twice/, opening([1, 1], 2));
  expectError(t, 'EM1106', /names token 99999999/, opening([99999999], 1));
  expectError(t, 'EM1106', /other bytes than token 5/, opening([{ id: 5, b64: 'eHh4' }], 1));
  t.end();
});

const needed = needsShared('models/crystal-788', 'models/gpt2-tokenizer', 'corpora/tinyshakespeare.txt');
t.test('the text of the crystals becomes the ids that they were trained on', needed, (t) => {
  const folder = temporaryFolder(t);
  for (const path of [
    'crystal-788/pruned_vocab.json',
    'gpt2-tokenizer/vocab.json',
    'gpt2-tokenizer/merges.txt',
  ]) {
    symlinkSync(sharedPath('models', path), join(folder, path.split('/')[1]!));
  }
  t.ok(existsSync(join(folder, 'merges.txt')));
  const found = openTokenizer(folder, 11706);
  if (found.tokenizer === null) throw new Error(found.reason);
  const bytes = readFileSync(sharedPath('models', 'crystal-788', 'train_ids.u16'));
  const ids = Array.from({ length: bytes.length / 2 }, (_, i) => bytes.readUInt16LE(2 * i));
  const trained = decodeTokens(found.tokenizer, ids);
  const corpus = readFileSync(sharedPath('corpora', 'tinyshakespeare.txt'), 'utf8');
  t.ok(corpus.includes(trained.slice(0, 20_000)));
  t.same([...encodeText(found.tokenizer, trained)], ids);
  t.end();
});
