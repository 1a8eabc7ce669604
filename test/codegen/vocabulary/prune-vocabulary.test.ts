/** Vocabulary pruning: what stays, that encoding stays, and that rows, ids and reports follow. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { bundledModelPath, openModelSource } from '../../../codegen/checkpoint/model-source.js';
import { decodeTokens } from '../../../codegen/tokenizer/decode-tokens.js';
import { encodeText } from '../../../codegen/tokenizer/encode-text.js';
import { openTokenizerJson } from '../../../codegen/tokenizer/tokenizer-json.js';
import { keptTokens } from '../../../codegen/vocabulary/kept-tokens.js';
import { describePruning, pruneToIds, pruneToText } from '../../../codegen/vocabulary/prune-vocabulary.js';
import { newIds, prunedTokenizer } from '../../../codegen/vocabulary/pruned-tokenizer.js';
import { expectError } from '../checkpoint/expect-error.js';
import {
  mixedText,
  syntheticTokenizers,
  temporaryFolder,
  writeTokenizer,
} from '../tokenizer/synthetic-tokenizers.js';

const words = 'the quick brown fox jumps over the lazy dog, l’été 日本語 1234567\n<|endoftext|> HE’LL';

t.test('text that needs kept tokens alone encodes to the same pieces, for every kind of tokenizer', (t) => {
  for (const { name, json, config } of syntheticTokenizers) {
    const model = openTokenizerJson(join(writeTokenizer(t, json, config), 'tokenizer.json'), 700);
    const kept = keptTokens(model, Buffer.from(words), []);
    const pruned = prunedTokenizer(model, kept);
    const newId = newIds(model.vocabSize, kept);
    t.ok(kept.length < model.text.filter((text) => text.length > 0).length, `${name}: some tokens go`);
    let compared = 0;
    const options = { special: true };
    fc.assert(
      fc.property(
        fc.oneof(
          mixedText,
          fc.array(fc.constantFrom(...words.split(/(?= )/))).map((parts) => parts.join('')),
        ),
        (text) => {
          const full = encodeText(model, text, options);
          if (full.some((id) => newId[id]! < 0)) {
            // Other text still goes in and comes out, in more tokens, wherever every byte has one.
            if (!model.byteIds.includes(-1)) {
              return decodeTokens(pruned, encodeText(pruned, text, options)) === decodeTokens(model, full);
            }
            return true;
          }
          compared++;
          const found = encodeText(pruned, text, options);
          return found.length === full.length && found.every((id, i) => id === newId[full[i]!]);
        },
      ),
      { seed: 11, numRuns: 150 },
    );
    t.ok(compared > 20, `${name}: ${compared} texts compared`);
  }
  t.end();
});

t.test('bytes, specials and the parents of every kept merge stay', (t) => {
  const { json, config } = syntheticTokenizers[0]!;
  const model = openTokenizerJson(join(writeTokenizer(t, json, config), 'tokenizer.json'), 700);
  const kept = new Set(keptTokens(model, Buffer.from('the model'), [5]));
  for (const id of [...model.byteIds, ...model.added.map((token) => token.id), 5]) t.ok(kept.has(id));
  const { rows, rights, merged } = model.merges;
  for (let left = 0; left < model.vocabSize; left++) {
    for (let at = rows[left]!; at < rows[left + 1]!; at++) {
      if (kept.has(merged[at]!)) t.ok(kept.has(left) && kept.has(rights[at]!));
    }
  }
  t.end();
});

t.test('the bundled model with the tokens of a text: rows, ids, report', (t) => {
  const full = openModelSource(null);
  t.teardown(() => full.checkpoint.close());
  const path = join(temporaryFolder(t), 'text.txt');
  const text = 'The kernel writes the page back to the disk.\n';
  writeFileSync(path, text.repeat(3));
  const pruned = pruneToText(full, path);
  const { ids, fullSize } = pruned.vocabulary!;
  t.equal(fullSize, 4096);
  t.equal(pruned.checkpoint.config.vocabSize, ids.length);
  t.ok(ids.length >= 256 && ids.length < 500, `${ids.length} tokens`);
  t.match(
    describePruning(full, pruned),
    new RegExp(
      `^vocabulary: ${ids.length} of 4096 tokens stay .*; ${(4096 - ids.length) * 192} parameters less`,
    ),
  );
  const name = 'model.embed_tokens.weight';
  t.strictSame(pruned.checkpoint.tensors.get(name)!.shape, [ids.length, 192]);
  const rows = pruned.checkpoint.readRows(name, 0, ids.length);
  for (const [id, old] of ids.entries()) {
    const expected = full.checkpoint.readRows(name, old, 1);
    if (!expected.every((value, i) => value === rows[id * 192 + i])) t.fail(`row ${id} is not row ${old}`);
  }
  t.strictSame(pruned.checkpoint.readRows(name, 7, 5), rows.subarray(7 * 192, 12 * 192));
  t.throws(() => pruned.checkpoint.readRows(name, ids.length - 1, 2), RangeError);
  t.strictSame(
    pruned.checkpoint.config.eosIds.map((id) => ids[id]),
    full.checkpoint.config.eosIds,
  );
  t.strictSame(
    [...encodeText(pruned.tokenizer!, text)].map((id) => ids[id]),
    [...encodeText(full.tokenizer!, text)],
  );
  t.equal(pruned.checkpoint.sha256(), full.checkpoint.sha256());
  const again = pruneToIds(full, pruned.vocabulary!, 'manifest.json');
  t.strictSame(again.checkpoint.readRows(name, 0, ids.length), rows);
  t.end();
});

t.test('what cannot be pruned', (t) => {
  const full = openModelSource(null);
  t.teardown(() => full.checkpoint.close());
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'empty'), '');
  expectError(t, 'EM1140', /no such file/, () => pruneToText(full, join(folder, 'absent')));
  expectError(t, 'EM1140', /not a regular file/, () => pruneToText(full, folder));
  expectError(t, 'EM1140', /has 0 bytes/, () => pruneToText(full, join(folder, 'empty')));
  expectError(t, 'EM1140', /has no tokenizer/, () =>
    pruneToText({ ...full, tokenizer: null }, bundledModelPath),
  );
  for (const [fullSize, ids] of [
    [4096, []],
    [4095, [1, 2]],
    [4096, [2, 2]],
    [4096, [-1, 2]],
    [4096, [1, 4096]],
    [4096, [1.5]],
  ] as const) {
    expectError(t, 'EM1141', /tokens; the checkpoint has 4096/, () =>
      pruneToIds(full, { fullSize, ids }, 'manifest.json'),
    );
  }
  t.end();
});
