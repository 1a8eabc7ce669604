import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { inspectPath } from '../../../codegen/commands/inspect/inspect-path.js';
import { findMisshape, type Shape } from '../../../codegen/commands/inspect/record-shape.js';
import { writeBlob } from '../../../codegen/layout/blob.js';
import { namedPlans } from '../../../codegen/quantize/plan.js';
import { records } from '../../deploy/report/quantization-records.js';
import { tinyModels, writeCheckpoint } from '../../end-to-end/tiny-bundles.js';
import { expectError } from '../checkpoint/expect-error.js';
import { writeLlama2c } from '../checkpoint/llama2c-writer.js';
import { embedModel, projectRoot } from './embed-model.js';

/** Writes a file of a test folder and returns its path. */
function file(t: Test, name: string, content: unknown): string {
  const path = join(t.testdir(), name);
  const bytes =
    content instanceof Uint8Array || typeof content === 'string' ? content : JSON.stringify(content);
  writeFileSync(path, bytes);
  return path;
}

const blobBytes = writeBlob({
  buildId: new Uint8Array(32).fill(0xab),
  sections: [
    { name: 'embed', format: 4, layout: 5, rows: 3, cols: 8, bytes: 24, content: new Uint8Array(24).fill(1) },
    { name: 'tokenizer', format: 0, layout: 0, rows: 1, cols: 5, bytes: 5, content: new Uint8Array(5) },
    { name: 'later', format: 99, layout: 77, rows: 1, cols: 1, bytes: 1, content: new Uint8Array(1) },
  ],
});

t.test('the bundled model', async (t) => {
  const { kind, document, text } = inspectPath(join(projectRoot, 'models', 'os-nano'));
  t.equal(kind, 'checkpoint');
  t.match(document, {
    parameters: 3_443_136,
    config: { architecture: 'LlamaForCausalLM', layers: 6 },
    tensors: [{ dtype: 'BF16', tensors: 56 }],
    tokenizer: { missing: null, bosId: null },
    context: 512,
  });
  t.match(text, /parameters +3,443,136/);
  t.match(text, /tokenizer +tokenizer\.json: BPE over bytes/);
  for (const name of Object.keys(namedPlans)) t.match(text, new RegExp(`^ {2}${name} .* MB`, 'm'));
});

t.test('checkpoints with everything that a decoder of the family can have', async (t) => {
  const folder = t.testdir();
  const described = tinyModels.map(
    (model, i) => inspectPath(writeCheckpoint(model, join(folder, `${i}`))).text,
  );
  const all = described.join('\n');
  for (const words of [
    '2 of keys and values',
    'biases',
    'norms of q and k',
    'window of 20 positions',
    'linear scaling by 4',
    'llama3 scaling by 8 (low 1, high 4, from 32 positions)',
    'head of its own',
    'head shares the embedding',
    'token 1 put before a text',
    'end of text   token 2',
  ]) {
    t.ok(all.includes(words), words);
  }
  for (const [i, text] of described.entries()) {
    t.match(text, `hidden ${tinyModels[i].hidden}, MLP ${tinyModels[i].intermediate}`);
  }
});

t.test('a llama2.c checkpoint without a tokenizer', async (t) => {
  const path = file(
    t,
    'model.bin',
    writeLlama2c({ dim: 16, hidden: 20, layers: 1, heads: 2, kvHeads: 2, vocab: 12, seq: 8 }).bytes,
  );
  const { text, document } = inspectPath(path);
  t.match(text, /format +llama2\.c version 0/);
  t.match(text, /tokenizer +none that can be used: no tok12\.bin, tokenizer\.bin, tokenizer\.json/);
  t.match(document, { tokenizer: { source: null, tableBytes: null } });
});

t.test('a tokenizer that cannot be used does not hide the rest', async (t) => {
  const folder = writeCheckpoint(tinyModels[0], join(t.testdir(), 'model'));
  writeFileSync(join(folder, 'tokenizer.json'), '{"model": {"type": "WordPiece"}}');
  t.match(inspectPath(folder).text, /tokenizer +none that can be used: EM1103/);
});

t.test('damaged checkpoints are told by their reader', async (t) => {
  const folder = writeCheckpoint(tinyModels[0], join(t.testdir(), 'model'));
  writeFileSync(join(folder, 'model.safetensors'), 'short');
  expectError(t, 'EM1011', /5 bytes/, () => inspectPath(folder));
  expectError(t, 'EM1034', /the file ends at byte 4/, () => inspectPath(file(t, 'x.gguf', 'GGUF')));
});

t.test('a blob: header, sections, checks', async (t) => {
  const { document, text, faults } = inspectPath(file(t, 'model.blob', blobBytes));
  t.same(faults, []);
  t.match(document, {
    abiVersion: 1,
    buildId: 'ab'.repeat(32),
    checks: { header: true, payload: true },
    sections: [
      { name: 'embed', format: 'w8', layout: 'rows', rows: 3, cols: 8, bytes: 24 },
      { name: 'tokenizer', format: null, layout: null },
      { name: 'later', format: 'format 99', layout: 'layout 77' },
    ],
  });
  t.match(text, /embed +w8 +rows +3 +8 +\d+ +24$/m);
});

t.test('a blob with a changed byte', async (t) => {
  const damaged = blobBytes.slice();
  damaged[damaged.length - 64] ^= 1;
  const path = file(t, 'model.blob', damaged);
  t.match(inspectPath(path), { faults: [/^payload: SHA-256 is/], text: /DAMAGED/ });
  const { code, stdout, stderr } = await embedModel(['inspect', path, '--json']);
  t.equal(code, 2);
  t.match(JSON.parse(stdout), { kind: 'blob', checks: { payload: false } });
  t.match(stderr, /^DAMAGED: payload/);
  damaged[130] ^= 1;
  expectError(t, 'EM1405', /CRC32C/, () => inspectPath(file(t, 'model.blob', damaged)));
});

t.test('plans', async (t) => {
  const { text, kind } = inspectPath(file(t, 'plan.json', namedPlans['int4-head8']));
  t.equal(kind, 'plan');
  t.match(text, 'quantization plan int4-head8: groups of 32 columns');
  t.match(text, /^ {2}head +w8 +8 bits, scale per row\n {2}\* +w4 /m);
  expectError(t, 'EM2001', /formats are/, () =>
    inspectPath(file(t, 'plan.json', { schemaVersion: 1, rules: [{ match: '*', format: 'w3' }] })),
  );
});

t.test('acceptances and quantization summaries', async (t) => {
  const { acceptance, summary } = records(2);
  const accepted = inspectPath(file(t, 'acceptance.json', acceptance));
  t.equal(accepted.kind, 'acceptance');
  t.match(accepted.text, /^acceptance of m, auto, for t\n\nloss +passed {2}below/);
  t.match(accepted.text, 'accepted  NO: a gate failed');
  expectError(t, 'EM1209', /gates\.0\.passed/, () =>
    inspectPath(file(t, 'acceptance.json', { ...acceptance, gates: [{ name: 'loss', text: '' }] })),
  );
  expectError(t, 'EM1209', /not a list/, () =>
    inspectPath(file(t, 'acceptance.json', { ...acceptance, gates: {} })),
  );
  const summarized = inspectPath(file(t, 'quantization_summary.json', summary));
  t.equal(summarized.kind, 'quantization summary');
  t.match(summarized.text, /^first allocation +GPTQ +5\.600 +- +0\.0110 +0\.0130 {2}chosen$/m);
  t.match(summarized.text, /^first allocation +GPTQ +5\.200 .* fails repetition and <script/m);
  t.match(summarized.text, /^layers\.1\.attn\.q +w5 +1100 +18\.1 +0\.0500$/m);
  const { variants } = summary!;
  const broken = { ...summary, variants: [{ ...variants[0], float: { kld: 'x' } }] };
  expectError(t, 'EM1209', /variants\.0\.float\.kld/, () =>
    inspectPath(file(t, 'quantization_summary.json', broken)),
  );
  expectError(t, 'EM1209', /tensors is not a list/, () =>
    inspectPath(file(t, 'quantization_summary.json', { ...summary, tensors: {} })),
  );
});

t.test('validation reports', async (t) => {
  const likelihood = { nll: 2, perplexity: 7.389 };
  const report = {
    ...{
      schemaVersion: 1,
      model: 'm',
      plan: 'int4',
      text: { name: 'a.txt', sha256: '' },
      window: 64,
      windows: 40,
    },
    ...{ tokens: 2520, reference: likelihood, quantized: likelihood, accepted: false, threshold: 0.02 },
    lnRatio: { mean: 0.0199, standardError: 0.001, upper95: 0.0212 },
    kld: { mean: 0.01, standardError: 0, median: 0.004, p95: 0.1, p99: 0.2, p999: 0.3, max: 0.4 },
    ...{ sameTop: { fraction: 0.97, standardError: 0 }, sizeAgainst16Bit: 0.28, speedAgainst16Bit: null },
  };
  const { text, kind } = inspectPath(file(t, 'validation_report.json', report));
  t.equal(kind, 'validation report');
  t.match(text, '+2.010 %, below +2.143 % with 95 % confidence');
  t.match(text, 'NO: not below the limit of +2.0 %');
  expectError(t, 'EM1209', /kld is not an object/, () =>
    inspectPath(file(t, 'validation_report.json', { ...report, kld: null })),
  );
});

t.test('results and manifests with missing fields are refused, whatever is missing', async (t) => {
  expectError(t, 'EM1209', /schemaVersion/, () => inspectPath(file(t, 'r.json', { speed: {}, output: {} })));
  expectError(t, 'EM1209', /model is not an object/, () =>
    inspectPath(file(t, 'r.json', { schemaVersion: 1, speed: {}, output: {} })),
  );
  const folder = t.testdir({ 'manifest.json': '{"schemaVersion": 1, "tool": {"name": "embed-model"}}' });
  expectError(t, 'EM1401', /model/, () => inspectPath(folder));
});

t.test('everything else', async (t) => {
  const unknown = (pattern: RegExp, path: string) =>
    expectError(t, 'EM1209', pattern, () => inspectPath(path));
  unknown(/no such file or folder/, join(t.testdir(), 'none'));
  unknown(/the folder is empty/, t.testdir());
  unknown(/holds a\.txt, and neither manifest\.json nor config\.json/, t.testdir({ 'a.txt': '' }));
  unknown(/the file is empty/, file(t, 'empty', ''));
  unknown(/begins like nothing/, file(t, 'a.txt', 'some text'));
  unknown(/not JSON/, file(t, 'a.json', '{"a": '));
  unknown(/JSON with a, b, and no record/, file(t, 'a.json', { a: 1, b: 2 }));
  unknown(/JSON without a field/, file(t, 'a.json', {}));
  unknown(/give the folder it lies in/, file(t, 'config.json', { model_type: 'llama' }));
  unknown(/duplicate|twice/, file(t, 'a.json', '{"rules": 1, "rules": 2}'));
  const named = join(t.testdir(), 'folder.bin');
  mkdirSync(named);
  unknown(/the folder is empty/, named);
  if (process.platform === 'linux') unknown(/neither a regular file nor a folder/, '/dev/null');
});

t.test('shapes of records', async (t) => {
  const shape: Shape = {
    fields: { a: 'number', b: 'string|null', c: { list: { fields: { d: 'boolean' } } } },
  };
  t.equal(findMisshape({ a: 1, b: null, c: [{ d: true }], more: 1 }, shape), null);
  t.equal(findMisshape({ a: 1, b: null, c: { 0: { d: true } } }, shape), 'c is not a list');
  const any: Shape = { fields: { e: { optional: { each: 'number' } } } };
  for (const e of [{ x: 1, y: 2 }, {}, null, undefined]) t.equal(findMisshape({ e }, any), null);
  t.equal(findMisshape({ e: { x: '1' } }, any), 'e.x is not number');
  t.equal(findMisshape({ e: 1 }, any), 'e is not an object');
  t.equal(findMisshape({ a: 1, c: [] }, shape), 'b is not string or null');
  t.equal(findMisshape({ a: '1', b: null, c: [] }, shape), 'a is not number');
  t.equal(findMisshape({ a: 1, b: null, c: [{ d: 1 }] }, shape), 'c.0.d is not boolean');
  t.equal(findMisshape({ a: 1, b: null, c: [null] }, shape), 'c.0 is not an object');
  t.equal(findMisshape(null, shape), 'the record is not an object');
  const inherited: Shape = { fields: { ['constructor' as string]: 'string' } };
  t.equal(findMisshape({}, inherited), 'constructor is not string');
});
