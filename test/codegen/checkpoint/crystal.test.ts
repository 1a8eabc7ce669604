/** Crystal checkpoints: settings, names, the transposed values, bookkeeping that is left alone. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { readCrystalConfig } from '../../../codegen/checkpoint/crystal-config.js';
import { openCheckpoint } from '../../../codegen/checkpoint/open.js';
import { Settings } from '../../../codegen/checkpoint/settings.js';
import { buildGraph } from '../../../codegen/graph/build.js';
import { expectError } from './expect-error.js';
import { encodeFloats, type WrittenTensor, writeSafetensors } from './safetensors-writer.js';
import { type TinyCrystal, tinyCrystalConfig, tinyCrystalTensors } from './tiny-crystal.js';
import { type Json, tinyValues } from './tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'embed-model-crystal-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
let written = 0;

function write(form: TinyCrystal, tensors: Record<string, WrittenTensor | undefined> = {}): string {
  const place = join(folder, `model-${written++}`);
  mkdirSync(place);
  const all = Object.entries({ ...tinyCrystalTensors(form), ...tensors });
  const kept = Object.fromEntries(
    all.filter((entry): entry is [string, WrittenTensor] => entry[1] !== undefined),
  );
  writeFileSync(join(place, 'config.json'), JSON.stringify(tinyCrystalConfig(form)));
  writeFileSync(join(place, 'model.safetensors'), writeSafetensors(kept));
  return place;
}

const read = (changes: Json, causal = false) => {
  const values = Object.entries({ ...tinyCrystalConfig({ causal }), ...changes });
  const given = Object.fromEntries(values.filter(([, value]) => value !== undefined));
  return readCrystalConfig(new Settings('config.json', given));
};

t.test('settings, with the constants of the public implementation as defaults', async (t) => {
  t.strictSame(read({}, true), {
    family: 'crystal',
    architecture: 'causal-crystal',
    vocabSize: 19,
    hiddenSize: 8,
    intermediateSize: 10,
    layers: 1,
    heads: 2,
    kvHeads: 2,
    headDim: 4,
    contextLength: 12,
    normEpsilon: 1e-5,
    neurons: 6,
    temperatureFloor: 0.1,
    weightSumEpsilon: 1e-8,
    gelu: 'erf',
    tiedEmbedding: false,
    bosId: null,
    eosIds: [],
  });
  const silent = { layer_norm_eps: undefined, temperature_floor: undefined, weight_sum_epsilon: undefined };
  t.match(read({ ...silent, activation: undefined, num_heads: undefined }), {
    ...{
      heads: 0,
      headDim: 0,
      normEpsilon: 1e-5,
      temperatureFloor: 0.1,
      weightSumEpsilon: 1e-8,
      gelu: 'erf',
    },
  });
});

t.test('settings that are missing, wrong or not computed', async (t) => {
  for (const key of ['vocab_size', 'embed_dim', 'num_neurons', 'context_length', 'ffn_dim'])
    expectError(t, 'EM1005', new RegExp(`${key} is missing`), () => read({ [key]: undefined }));
  expectError(t, 'EM1005', /num_heads is missing/, () => read({ num_heads: undefined }, true));
  expectError(t, 'EM1006', /num_heads is 3; expected: a divisor of embed_dim/, () =>
    read({ num_heads: 3 }, true),
  );
  expectError(t, 'EM1006', /num_heads is 2/, () => read({ num_heads: 2 }));
  expectError(t, 'EM1006', /temperature_floor is 0/, () => read({ temperature_floor: 0 }));
  expectError(t, 'EM1008', /activation is "silu"; supported: gelu/, () => read({ activation: 'silu' }));
});

t.test('tensors by the names of the graph', async (t) => {
  for (const causal of [false, true]) {
    const checkpoint = openCheckpoint(write({ causal }));
    const name = `${causal ? 'geo_attn' : 'attention'}.values`;
    const values = tinyValues(name, [6, 8]);
    const row = Array.from({ length: 6 }, (_, n) => values[n * 8 + 3]!);
    t.strictSame([...checkpoint.readRows('field.values', 3, 1)], row, 'a row of values is a dimension');
    const graph = buildGraph(checkpoint, 5);
    t.match(
      graph.matrices.find((matrix) => matrix.name === 'positions'),
      { rows: 5 },
    );
    t.equal(
      graph.layers[0]!.some(({ kind }) => kind === 'attention'),
      causal,
    );
    t.same(graph.cache, causal ? { kvHeads: 2, headDim: 4 } : { kvHeads: 0, headDim: 0 });
    checkpoint.close();
  }
});

t.test('tensors that are missing, of another shape, or change the meaning', async (t) => {
  const opened = (tensors: Record<string, WrittenTensor | undefined>) => () =>
    openCheckpoint(write({}, tensors));
  const floats = (values: number[]): WrittenTensor => ({
    ...{ dtype: 'F32', shape: [values.length], data: encodeFloats('F32', Float32Array.from(values)) },
  });
  expectError(t, 'EM1015', /ffn.0.bias \[10\]/, opened({ 'ffn.0.bias': undefined }));
  expectError(t, 'EM1016', /attention.temperature/, opened({ 'attention.temperature': floats([1, 2]) }));
  const scales = 'attention.neuron_scale';
  expectError(t, 'EM1008', /neuron_scale is not 1/, opened({ [scales]: floats([1, 1, 1, 2, 1, 1]) }));
  opened({ [scales]: floats([1, 1, 1, 1, 1, 1]) })().close();
});
