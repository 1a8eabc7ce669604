import { createHash } from 'node:crypto';
import {
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { openCheckpoint } from '../../../codegen/checkpoint/open.js';
import { expectError } from './expect-error.js';
import { encodeFloats } from './safetensors-writer.js';
import {
  type TinyChanges,
  tinyShapes,
  tinyTensor,
  tinyValues,
  writeTinyModel,
  writeTinyShards,
} from './tiny-model.js';

const layer0 = 'model.layers.0';
const root = fileURLToPath(new URL('../../../../', import.meta.url));
const shared = join(root, '../shared/models');

t.test('every tensor of a folder is listed and read, whole or by rows', (t) => {
  const folder = writeTinyModel(join(t.testdir(), 'tiny'));
  const checkpoint = openCheckpoint(`${folder}/`);
  t.teardown(() => checkpoint.close());
  t.equal(checkpoint.format, 'huggingface');
  t.equal(checkpoint.name, 'tiny');
  t.strictSame([...checkpoint.tensors.keys()].sort(), Object.keys(tinyShapes).sort());
  for (const [name, shape] of Object.entries(tinyShapes)) {
    t.strictSame(checkpoint.tensors.get(name), { name, dtype: 'BF16', shape });
    t.strictSame(checkpoint.readRows(name, 0, shape[0]!), tinyValues(name, shape), name);
  }
  const name = `${layer0}.mlp.down_proj.weight`;
  t.strictSame(checkpoint.readRows(name, 3, 2), tinyValues(name, [16, 20]).subarray(60, 100));
  t.strictSame(
    checkpoint.readRows('model.norm.weight', 5, 1),
    tinyValues('model.norm.weight', [16]).subarray(5, 6),
  );
  expectError(t, 'EM1015', /there is no tensor lm_head.weight/, () =>
    checkpoint.readRows('lm_head.weight', 0, 1),
  );
  t.end();
});

t.test('shards hold the same model', (t) => {
  const whole = openCheckpoint(writeTinyModel(t.testdir({ whole: {} })));
  const sharded = openCheckpoint(writeTinyShards(join(whole.path, 'shards')));
  t.teardown(() => [whole, sharded].map((checkpoint) => checkpoint.close()));
  t.strictSame(sharded.config, whole.config);
  for (const [name, info] of whole.tensors) {
    t.strictSame(sharded.readRows(name, 0, info.shape[0]!), whole.readRows(name, 0, info.shape[0]!), name);
  }
  t.end();
});

t.test('the model hash is that of the files one after the other', (t) => {
  const hashOf = (folder: string, names: string[]) =>
    createHash('sha256')
      .update(Buffer.concat(names.map((name) => readFileSync(join(folder, name)))))
      .digest('hex');
  const folder = t.testdir();
  const whole = openCheckpoint(writeTinyModel(join(folder, 'whole')));
  const sharded = openCheckpoint(writeTinyShards(join(folder, 'shards')));
  t.teardown(() => [whole, sharded].map((checkpoint) => checkpoint.close()));
  t.equal(whole.sha256(), hashOf(whole.path, ['config.json', 'model.safetensors']));
  t.equal(whole.sha256(), whole.sha256());
  const files = readdirSync(sharded.path)
    .filter((name) => name.endsWith('.safetensors'))
    .sort();
  t.equal(files.length, 2);
  t.equal(sharded.sha256(), hashOf(sharded.path, ['config.json', 'model.safetensors.index.json', ...files]));
  t.end();
});

t.test('tensors that are missing, misshapen, of another type or not finite', (t) => {
  let count = 0;
  const folder = t.testdir();
  const opening = (changes: TinyChanges) => () =>
    openCheckpoint(writeTinyModel(join(folder, String(count++)), changes)).close();
  const norm = 'model.norm.weight';
  const q = `${layer0}.self_attn.q_proj.weight`;

  expectError(t, 'EM1015', /model.norm.weight \[16\]/, opening({ tensors: { [norm]: undefined } }));
  expectError(t, 'EM1015', /lm_head.weight \[12, 16\]/, opening({ config: { tie_word_embeddings: false } }));
  expectError(
    t,
    'EM1016',
    /expected \[16, 16\], found \[16, 8\]/,
    opening({ tensors: { [q]: tinyTensor(q, [16, 8]) } }),
  );
  expectError(
    t,
    'EM1016',
    /expected \[16\], found \[1, 16\]/,
    opening({ tensors: { [norm]: tinyTensor(norm, [1, 16]) } }),
  );
  const integers = { dtype: 'I16', shape: [16], data: Buffer.alloc(32) };
  expectError(
    t,
    'EM1014',
    /dtype I16; weights are read as F32, F16, BF16/,
    opening({ tensors: { [norm]: integers } }),
  );

  for (const [dtype, bad] of [
    ['F32', NaN],
    ['F32', -Infinity],
  ] as const) {
    const values = tinyValues(q, [16, 16]);
    values[35] = bad;
    const tensors = { [q]: { dtype, shape: [16, 16], data: encodeFloats(dtype, values) } };
    const checkpoint = openCheckpoint(writeTinyModel(join(folder, `bad${bad}`), { tensors }));
    t.equal(checkpoint.readRows(q, 0, 2).length, 32, 'rows before it are read');
    const place = new RegExp(`${q}: element 35 \\(row 2, column 3\\) is ${bad}`);
    expectError(t, 'EM1010', place, () => checkpoint.readRows(q, 2, 1));
    checkpoint.close();
  }
  t.end();
});

t.test('biases: demanded, allowed, contradicted and unknown', (t) => {
  let count = 0;
  const folder = t.testdir();
  const bias = (name: string, size: number) => ({ [name]: tinyTensor(name, [size]) });
  const opening = (config: object, tensors: TinyChanges['tensors']) => {
    const checkpoint = openCheckpoint(
      writeTinyModel(join(folder, String(count++)), { config: { ...config }, tensors: tensors ?? {} }),
    );
    checkpoint.close();
    return [...checkpoint.tensors.keys()].filter((name) => name.endsWith('.bias'));
  };
  const o = `${layer0}.self_attn.o_proj.bias`;
  const gate = 'model.layers.1.mlp.gate_proj.bias';
  t.strictSame(
    opening({}, { ...bias(o, 16), ...bias(gate, 20) }),
    [o, gate],
    'listed where config.json is silent',
  );
  expectError(t, 'EM1016', /o_proj.bias: expected \[16\], found \[8\]/, () => opening({}, bias(o, 8)));
  expectError(t, 'EM1015', /q_proj.bias/, () => opening({ attention_bias: true }, {}));
  expectError(t, 'EM1015', /0.mlp.gate_proj.bias/, () => opening({ mlp_bias: true }, bias(gate, 20)));
  expectError(t, 'EM1019', /o_proj.bias is there/, () => opening({ attention_bias: false }, bias(o, 16)));
  expectError(t, 'EM1008', /norm.bias has no place/, () => opening({}, bias('model.norm.bias', 16)));
  expectError(t, 'EM1008', /layers.2.self_attn.q_proj.bias has no place/, () =>
    opening({}, bias('model.layers.2.self_attn.q_proj.bias', 16)),
  );

  const qwen = { architectures: ['Qwen2ForCausalLM'], model_type: 'qwen2' };
  const qkv = [0, 1].flatMap((layer) =>
    ['q', 'k', 'v'].map((p) => `model.layers.${layer}.self_attn.${p}_proj.bias`),
  );
  const all = Object.assign({}, ...qkv.map((name) => bias(name, name.includes('q_proj') ? 16 : 8)));
  t.strictSame(opening(qwen, all), qkv);
  expectError(t, 'EM1015', /layers.1.self_attn.v_proj.bias/, () =>
    opening(qwen, { ...all, [qkv[5]!]: undefined }),
  );
  t.end();
});

t.test('a tied head that is stored as well must be the embedding; other extras are left out', (t) => {
  const folder = t.testdir();
  const embedding = tinyValues('model.embed_tokens.weight', [12, 16]);
  const head = (values: Float32Array) => ({
    dtype: 'F32',
    shape: [12, 16],
    data: encodeFloats('F32', values),
  });
  const frequencies = { dtype: 'F64', shape: [2], data: Buffer.alloc(16) };
  const tensors = {
    'lm_head.weight': head(embedding),
    [`${layer0}.self_attn.rotary_emb.inv_freq`]: frequencies,
    something_else: frequencies,
  };
  const checkpoint = openCheckpoint(writeTinyModel(join(folder, 'same'), { tensors }));
  t.strictSame([...checkpoint.tensors.keys()].sort(), Object.keys(tinyShapes).sort());
  checkpoint.close();

  const untied = openCheckpoint(
    writeTinyModel(join(folder, 'untied'), { tensors, config: { tie_word_embeddings: false } }),
  );
  t.strictSame(untied.readRows('lm_head.weight', 0, 12), embedding);
  untied.close();

  const other = embedding.with(100, embedding[100]! + 1);
  expectError(t, 'EM1019', /row 6 of lm_head.weight/, () =>
    openCheckpoint(writeTinyModel(join(folder, 'other'), { tensors: { 'lm_head.weight': head(other) } })),
  );
  t.end();
});

t.test('an index that is wrong or disagrees with its shards', (t) => {
  let count = 0;
  const folder = t.testdir();
  const norm = 'model.norm.weight';
  const opening = (edit: (weightMap: Record<string, unknown>) => void) => () =>
    openCheckpoint(writeTinyShards(join(folder, String(count++)), edit));
  const first = 'model-00001-of-00002.safetensors';

  expectError(
    t,
    'EM1017',
    /model-00002-of-00002.safetensors holds model.norm.weight, the index puts it in model-00001/,
    opening((map) => Object.assign(map, { [norm]: first })),
  );
  expectError(
    t,
    'EM1017',
    /holds model.norm.weight, the index does not list it/,
    opening((map) => delete map[norm]),
  );
  expectError(
    t,
    'EM1017',
    /does not hold extra/,
    opening((map) => Object.assign(map, { extra: first })),
  );
  expectError(
    t,
    'EM1017',
    /shard absent.safetensors is not in the folder/,
    opening((map) => Object.assign(map, { extra: 'absent.safetensors' })),
  );
  for (const shard of [
    '../1/model.safetensors',
    '/etc/passwd',
    '..',
    '.',
    '',
    'a\\b',
    'c:x',
    'a\0b',
    7,
    null,
  ]) {
    expectError(
      t,
      'EM1017',
      /expected: the name of a file/,
      opening((map) => Object.assign(map, { extra: shard })),
    );
  }
  const many = Object.fromEntries(Array.from({ length: 513 }, (_, i) => [`t${i}`, `s${i}.safetensors`]));
  expectError(
    t,
    'EM1017',
    /names 515 shards/,
    opening((map) => Object.assign(map, many)),
  );

  const index = join(writeTinyShards(join(folder, 'index')), 'model.safetensors.index.json');
  for (const [text, code, pattern] of [
    ['{}', 'EM1017', /weight_map is missing/],
    ['{"weight_map":[]}', 'EM1017', /weight_map is missing/],
    ['{"weight_map":{"a":"x","a":"y"}}', 'EM1004', /"a" stands twice/],
    ['', 'EM1004', /not JSON/],
  ] as const) {
    writeFileSync(index, text);
    expectError(t, code, pattern, () => openCheckpoint(join(folder, 'index')));
  }
  t.end();
});

t.test('folders and files that are not there, not JSON or cut short', (t) => {
  const folder = writeTinyModel(t.testdir());
  const config = join(folder, 'config.json');
  const weights = join(folder, 'model.safetensors');
  const text = readFileSync(config);
  for (const [spoilt, pattern] of [
    ['{"a":', /not JSON/],
    ['[]', /not a JSON object/],
    ['{"vocab_size":1,"vocab_size":2}', /"vocab_size" stands twice/],
    [Buffer.from([0x7b, 0xff, 0x7d]), /not UTF-8/],
    [Buffer.alloc((4 << 20) + 1, 32), /at most 4194304 are read/],
    ['['.repeat(1_000_000), /not JSON/],
    [`{"vocab_size":${'['.repeat(500_000)}${']'.repeat(500_000)}}`, /nested more than 64 deep/],
  ] as const) {
    writeFileSync(config, spoilt);
    expectError(t, 'EM1004', pattern, () => openCheckpoint(folder));
  }
  writeFileSync(config, text);
  writeFileSync(join(folder, 'generation_config.json'), 'no');
  expectError(t, 'EM1004', /generation_config.json: not JSON/, () => openCheckpoint(folder));
  writeFileSync(join(folder, 'generation_config.json'), '{"eos_token_id":[3,2,5]}');
  const checkpoint = openCheckpoint(folder);
  t.strictSame(checkpoint.config.eosIds, [2, 3, 5]);
  truncateSync(weights, 100);
  const last = 'model.embed_tokens.weight';
  expectError(t, 'EM1001', /short of what is read/, () => checkpoint.readRows(last, 0, 12));
  checkpoint.close();
  expectError(t, 'EM1009', /header length/, () => openCheckpoint(folder));

  renameSync(weights, join(folder, 'consolidated.safetensors'));
  expectError(t, 'EM1003', /neither model.safetensors nor .*; it has consolidated.safetensors/, () =>
    openCheckpoint(folder),
  );
  rmSync(config);
  expectError(t, 'EM1003', /has no config.json/, () => openCheckpoint(folder));
  t.end();
});

t.test('the bundled model opens and holds its 3,443,136 parameters', (t) => {
  const checkpoint = openCheckpoint(join(root, 'models/os-nano'));
  t.teardown(() => checkpoint.close());
  let parameters = 0;
  for (const { name, shape } of checkpoint.tensors.values()) {
    parameters += checkpoint.readRows(name, 0, shape[0]!).length;
  }
  t.equal(parameters, 3_443_136);
  const { vocabSize, hiddenSize, layers, heads, headDim, contextLength, eosIds } = checkpoint.config;
  t.strictSame([vocabSize, hiddenSize, layers, heads, headDim, contextLength], [4096, 192, 6, 6, 32, 512]);
  t.strictSame(eosIds, [0]);
  t.end();
});

t.test(
  'the variants open and every tensor is read',
  { skip: !existsSync(shared) && 'no ../shared/models' },
  (t) => {
    const folder = join(shared, 'variants');
    for (const name of readdirSync(folder).filter((name) => !name.startsWith('gpt2'))) {
      const checkpoint = openCheckpoint(join(folder, name));
      const read = [...checkpoint.tensors.values()].map((tensor) =>
        checkpoint.readRows(tensor.name, 0, tensor.shape[0]!),
      );
      checkpoint.close();
      t.equal(read.length, checkpoint.tensors.size, name);
      t.ok(
        read.every((values) => values.some((value) => value !== 0)),
        `${name}: no tensor is all zero`,
      );
    }
    t.end();
  },
);
