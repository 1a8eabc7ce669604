import t from 'tap';
import { buildGraph } from '../../../../codegen/graph/build.js';
import { foldPlaces } from '../../../../codegen/quantize/awq/fold-places.js';
import { FoldedCheckpoint } from '../../../../codegen/quantize/folds/folded-checkpoint.js';
import { foldRecord, parseFolds, scaleOf, stepsOf } from '../../../../codegen/quantize/folds/folds.js';
import { expectError } from '../../checkpoint/expect-error.js';
import { foldsKeepLogits } from './folds-keep-logits.js';
import { tinyFamilies } from './tiny-folds.js';

for (const [family, open] of Object.entries(tinyFamilies)) {
  t.test(`${family}: any scales leave the logits as they are`, async (t) => {
    foldsKeepLogits(t, open, foldPlaces, 1e-5);
  });
}

t.test('columns are multiplied, rows and gains divided, wherever reading begins', async (t) => {
  const checkpoint = tinyFamilies['llama without'](t.testdir());
  t.teardown(() => checkpoint.close());
  const graph = buildGraph(checkpoint, 16);
  const [norm, v] = [
    Int8Array.from({ length: 16 }, (_, i) => 4 * i - 20),
    Int8Array.from({ length: 16 }, (_, i) => -i),
  ];
  const folded = new FoldedCheckpoint(
    checkpoint,
    graph,
    new Map([
      ['layers.0.attn_norm', norm],
      ['layers.0.attn.v', v],
    ]),
  );
  const at = 'model.layers.0';
  const close = (found: Float32Array, expected: (i: number) => number) =>
    t.ok(found.every((value, i) => Math.abs(value - expected(i)) <= 1e-6 * Math.abs(expected(i))));
  const gains = checkpoint.readRows(`${at}.input_layernorm.weight`, 3, 5);
  close(folded.readRows(`${at}.input_layernorm.weight`, 3, 5), (i) => gains[i]! / scaleOf(norm[3 + i]!));
  const rows = checkpoint.readRows(`${at}.self_attn.v_proj.weight`, 2, 3);
  close(
    folded.readRows(`${at}.self_attn.v_proj.weight`, 2, 3),
    (i) => (rows[i]! * scaleOf(norm[i % 16]!)) / scaleOf(v[2 + Math.floor(i / 16)]!),
  );
  const bias = checkpoint.readRows(`${at}.self_attn.v_proj.bias`, 15, 1);
  close(folded.readRows(`${at}.self_attn.v_proj.bias`, 15, 1), () => bias[0]! / scaleOf(v[15]!));
  for (const tensor of [`${at}.mlp.gate_proj.weight`, 'model.layers.1.self_attn.v_proj.weight'])
    t.same(folded.readRows(tensor, 0, 16), checkpoint.readRows(tensor, 0, 16), 'as it is elsewhere');
  t.equal(folded.sha256(), checkpoint.sha256());
});

t.test('scales are written down in sixteenths of an octave', async (t) => {
  t.same([...stepsOf(Float64Array.of(1, 2, 0.5, 2 ** (3.4 / 16), 1e30, 1e-30))], [0, 16, -16, 3, 127, -127]);
  const places = ['a', 'b'].map((name) => ({ name, channels: 3, divided: [], multiplied: [] }));
  const folds = new Map([
    ['a', Int8Array.of(-127, 0, 127)],
    ['b', Int8Array.of(1, 2, 3)],
  ]);
  const record = foldRecord(folds);
  t.same(parseFolds(JSON.parse(JSON.stringify(record)), places, 'x'), folds);
  for (const damaged of [{ c: record.a! }, { a: '' }, { a: 'gAAA' }, { a: `${record.a!}AAAA` }]) {
    expectError(t, 'EM1401', /quantization.folds/, () => parseFolds(damaged, places, 'manifest.json'));
  }
});
