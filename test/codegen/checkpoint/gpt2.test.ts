/** GPT-2 checkpoints: settings, names, transposed and fused matrices, ties. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { readGpt2Config } from '../../../codegen/checkpoint/gpt2-config.js';
import { openCheckpoint } from '../../../codegen/checkpoint/open.js';
import { Settings } from '../../../codegen/checkpoint/settings.js';
import { buildGraph } from '../../../codegen/graph/build.js';
import { expectError } from './expect-error.js';
import { type WrittenTensor, writeSafetensors } from './safetensors-writer.js';
import { type TinyGpt2, tinyGpt2Config, tinyGpt2Tensors } from './tiny-gpt2.js';
import { type Json, tinyTensor, tinyValues } from './tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'embed-model-gpt2-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
let written = 0;

/** Writes a tiny GPT-2; undefined tensors are left out. */
function write(
  form: TinyGpt2,
  config: Json = {},
  tensors: Record<string, WrittenTensor | undefined> = {},
): string {
  const place = join(folder, `model-${written++}`);
  mkdirSync(place);
  const all = Object.entries({ ...tinyGpt2Tensors(form), ...tensors });
  const kept = Object.fromEntries(
    all.filter((entry): entry is [string, WrittenTensor] => entry[1] !== undefined),
  );
  writeFileSync(join(place, 'config.json'), JSON.stringify({ ...tinyGpt2Config(form), ...config }));
  writeFileSync(join(place, 'model.safetensors'), writeSafetensors(kept));
  return place;
}

const read = (changes: Json, generation: Json | null = null) => {
  const values = { ...tinyGpt2Config({}), ...changes };
  const given = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
  const more = generation === null ? null : new Settings('generation_config.json', generation);
  return readGpt2Config(new Settings('config.json', given), more);
};

t.test('settings and the defaults of transformers', async (t) => {
  t.strictSame(read({}), {
    family: 'gpt2',
    architecture: 'GPT2LMHeadModel',
    vocabSize: 11,
    hiddenSize: 6,
    intermediateSize: 9,
    layers: 2,
    heads: 2,
    kvHeads: 2,
    headDim: 3,
    contextLength: 20,
    normEpsilon: 1e-5,
    gelu: 'tanh',
    scoreDivisor: { headDim: true, layer: false },
    tiedEmbedding: true,
    bosId: 1,
    eosIds: [2],
  });
  const absent = { n_inner: null, activation_function: undefined, layer_norm_epsilon: undefined };
  t.match(read({ ...absent, bos_token_id: undefined }), { intermediateSize: 24, gelu: 'tanh', bosId: null });
  t.match(read({ vocab_size: 50257, bos_token_id: undefined, eos_token_id: undefined }), {
    bosId: 50256,
    eosIds: [50256],
  });
  t.strictSame(read({}, { eos_token_id: [2, 3] }).eosIds, [2, 3]);
  t.match(read({ activation_function: 'gelu', reorder_and_upcast_attn: true }), { gelu: 'erf' });
  t.strictSame(read({ scale_attn_by_inverse_layer_idx: true, scale_attn_weights: false }).scoreDivisor, {
    headDim: false,
    layer: true,
  });
});

t.test('settings that are missing, wrong or not computed', async (t) => {
  for (const key of ['n_embd', 'n_head', 'n_layer', 'n_positions', 'vocab_size'])
    expectError(t, 'EM1005', new RegExp(`${key} is missing`), () => read({ [key]: undefined }));
  expectError(t, 'EM1006', /n_head is 4; expected: a divisor of n_embd \(6\)/, () => read({ n_head: 4 }));
  expectError(t, 'EM1006', /at most 256 elements/, () => read({ n_embd: 1024, n_head: 2 }));
  expectError(t, 'EM1006', /layer_norm_epsilon/, () => read({ layer_norm_epsilon: 0 }));
  expectError(t, 'EM1008', /activation_function is "relu"; supported: gelu_new/, () =>
    read({ activation_function: 'relu' }),
  );
  expectError(t, 'EM1008', /add_cross_attention/, () => read({ add_cross_attention: true }));
  expectError(t, 'EM1008', /quantization_config is \{\}; supported: absent/, () =>
    read({ quantization_config: {} }),
  );
  expectError(t, 'EM1006', /one token id/, () => read({ bos_token_id: [1, 2] }));
});

t.test('the matrices are those that were written, whichever way they lie', async (t) => {
  const names = [
    {},
    { prefix: 'transformer.' },
    { nano: true },
    { nano: true, prefix: '_orig_mod.transformer.' },
  ];
  for (const form of names) {
    const checkpoint = openCheckpoint(write(form));
    const logical = tinyValues('c_attn', [18, 6]); // rows of outputs
    const v = checkpoint.readRows('h.1.attn.v.weight', 0, 6);
    t.strictSame([...v], [...logical.subarray(12 * 6)], `v of ${JSON.stringify(form)}`);
    t.strictSame([...checkpoint.readRows('h.1.attn.k.weight', 2, 1)], [...logical.subarray(8 * 6, 9 * 6)]);
    t.strictSame(
      [...checkpoint.readRows('h.0.mlp.down.weight', 0, 6)],
      [...tinyValues('mlp.c_proj', [6, 9])],
    );
    t.strictSame(
      [...checkpoint.readRows('h.0.attn.k.bias', 0, 6)],
      [...tinyValues('c_attn.bias', [18]).subarray(6, 12)],
    );
    t.equal(checkpoint.tensors.get('wte.weight')!.dtype, 'F32');
    t.throws(() => checkpoint.readRows('h.1.attn.v.weight', 5, 2), RangeError);
    t.match(buildGraph(checkpoint, 10), { family: 'gpt2', rope: null, matrices: { length: 14 } });
    checkpoint.close();
  }
});

t.test('nanoGPT: another activation, no biases', async (t) => {
  const checkpoint = openCheckpoint(write({ nano: true, biases: false }));
  t.match(checkpoint.config, { architecture: 'nanoGPT', gelu: 'erf', contextLength: 20, eosIds: [] });
  const graph = buildGraph(checkpoint, 20);
  t.strictSame(
    graph.vectors.map(({ name }) => name),
    [...[0, 1].flatMap((l) => [`layers.${l}.attn_norm`, `layers.${l}.mlp_norm`]), 'head_norm'],
  );
  checkpoint.close();
});

t.test('positions are kept for the context alone; scores may be divided by the layer', async (t) => {
  const checkpoint = openCheckpoint(write({}, { scale_attn_by_inverse_layer_idx: true }));
  const graph = buildGraph(checkpoint, 7);
  t.match(
    graph.matrices.find(({ name }) => name === 'positions'),
    { rows: 7, columns: 6 },
  );
  const gains = graph.layers
    .map((ops) => ops.find(({ name }) => name === 'q')!)
    .map((op) => op.kind === 'linear' && op.gain);
  t.equal(Number(gains[0]) / Number(gains[1]), 2);
  checkpoint.close();
});

t.test('tied and untied heads', async (t) => {
  const own = { 'lm_head.weight': tinyTensor('lm_head', [11, 6], 'F32') };
  const untied = openCheckpoint(write({}, { tie_word_embeddings: false }, own));
  t.ok(buildGraph(untied, 5).matrices.some(({ name }) => name === 'head'));
  untied.close();
  const same = { 'lm_head.weight': tinyGpt2Tensors({})['wte.weight'] };
  openCheckpoint(write({}, {}, same)).close();
  expectError(t, 'EM1019', /row 0 of lm_head.weight is not that of wte.weight/, () =>
    openCheckpoint(write({}, {}, own)),
  );
  expectError(t, 'EM1015', /lm_head.weight/, () => openCheckpoint(write({}, { tie_word_embeddings: false })));
});

t.test('tensors that are missing, of another shape or type, or have no place', async (t) => {
  const opened = (tensors: Record<string, WrittenTensor | undefined>) => () =>
    openCheckpoint(write({}, {}, tensors));
  expectError(t, 'EM1015', /h\.1\.ln_2\.weight/, opened({ 'h.1.ln_2.weight': undefined }));
  expectError(t, 'EM1016', /wpe.weight/, opened({ 'wpe.weight': tinyTensor('p', [19, 6]) }));
  expectError(
    t,
    'EM1016',
    /\[6, 18\] or \[18, 6\]/,
    opened({ 'h.0.attn.c_attn.weight': tinyTensor('a', [6, 6]) }),
  );
  expectError(t, 'EM1016', /expected \[6, 9\]/, opened({ 'h.0.mlp.c_fc.weight': tinyTensor('a', [9, 6]) }));
  expectError(t, 'EM1008', /lm_head.bias has no place/, opened({ 'lm_head.bias': tinyTensor('b', [11]) }));
  const integers = { dtype: 'I32', shape: [6], data: new Uint8Array(24) } as unknown as WrittenTensor;
  expectError(t, 'EM1014', /dtype I32/, opened({ 'ln_f.weight': integers }));
  // The causal mask of older checkpoints is no parameter.
  openCheckpoint(write({}, {}, { 'h.0.attn.bias': tinyTensor('m', [1, 1, 20, 20]) })).close();
});
