/** Export as compressed-tensors: what is written reads back as the integers and the values of the quantized model. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { DecoderConfig } from '../../../codegen/checkpoint/config.js';
import { bundledModelPath } from '../../../codegen/checkpoint/model-source.js';
import { openCheckpoint } from '../../../codegen/checkpoint/open.js';
import {
  huggingFaceConfig,
  packedTensors,
  packScheme,
  quantizationConfig,
  turnedProjections,
  unevenGroups,
  unpackedModules,
} from '../../../codegen/export/compressed-tensors.js';
import { exportBundle } from '../../../codegen/export/export-bundle.js';
import { writeSafetensorsFile } from '../../../codegen/export/safetensors-file.js';
import { buildGraph } from '../../../codegen/graph/build.js';
import { readMatrixRows } from '../../../codegen/graph/rotate-inputs.js';
import { silentProgress } from '../../../codegen/progress.js';
import { dequantizeRow } from '../../../codegen/quantize/matrix.js';
import { namedPlans, type Plan } from '../../../codegen/quantize/plan.js';
import { quantizeGraph } from '../../../codegen/quantize/quantize.js';
import { writeTinyModel } from '../checkpoint/tiny-model.js';
import { plainConfig } from '../graph/shape-checkpoint.js';

const context = () => ({ progress: silentProgress, signal: new AbortController().signal });

const plans: readonly Plan[] = [
  ...['int8', 'int4', 'int4-head8'].map((name) => namedPlans[name]!),
  { schemaVersion: 1, name: 'w6', groupSize: 64, rules: [{ match: '*', format: 'w6' }] },
  {
    ...{ schemaVersion: 1, name: 'several', groupSize: 32 },
    rules: [
      { match: '*attn*', format: 'w5' },
      { match: '*', format: 'w8' },
    ],
  },
];

for (const [plan, rotate] of plans.flatMap((plan) => [[plan, false] as const, [plan, true] as const])) {
  for (const path of [bundledModelPath, null]) {
    const named = `${plan.name}, ${path === null ? 'a tiny model' : 'the bundled model'}`;
    t.test(`${named}${rotate ? ', turned' : ''}`, async (t) => {
      const folder = t.testdir();
      const checkpoint = openCheckpoint(path ?? writeTinyModel(join(folder, 'model')));
      t.teardown(() => checkpoint.close());
      const { config } = checkpoint;
      if (config.family !== 'llama') throw new Error('not a llama');
      const graph = buildGraph(checkpoint, 32, rotate);
      const matrices = await quantizeGraph(graph, checkpoint, plan, plan.name, context());
      const scheme = packScheme(graph, matrices)!;
      t.equal(scheme.bits, /int4/.test(plan.name) ? 4 : 8);
      const out = join(folder, 'exported');
      mkdirSync(out);
      const tensors = packedTensors(graph, matrices, checkpoint, scheme);
      writeSafetensorsFile(join(out, 'model.safetensors'), tensors);
      const settings = {
        ...huggingFaceConfig(config),
        quantization_config: quantizationConfig(scheme, unpackedModules(graph)),
      };
      writeFileSync(join(out, 'config.json'), JSON.stringify(settings));
      const found = openCheckpoint(out);
      t.teardown(() => found.close());
      t.strictSame(found.config, config);
      let [packed, worst] = [0, 0];
      for (const info of graph.matrices) {
        const { name, tensor, rows, columns } = info;
        const matrix = matrices.get(name)!;
        const codes = found.gridOf?.(tensor)?.codes;
        if (codes !== undefined) packed++;
        if (codes?.some((code, i) => code !== matrix.integers[i])) t.fail(`${name}: other integers`);
        const row = new Float32Array(columns);
        const values = readMatrixRows(found, info, 0, rows);
        for (let r = 0; r < rows; r++) {
          dequantizeRow(matrix, r, row);
          const largest = row.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
          row.forEach((value, c) => {
            const difference = Math.abs(values[r * columns + c]! - value);
            const size = info.rotationStages === undefined ? Math.abs(value) : 16 * largest;
            worst = Math.max(worst, size === 0 ? difference : difference / size);
          });
        }
      }
      t.equal(packed, (rotate ? 6 : 7) * config.layers);
      const isDown = ({ name }: { readonly name: string }) => /down_proj/.test(name);
      const down = tensors.filter(isDown).reduce((sum, tensor) => sum + tensor.bytes().length, 0);
      const turned = turnedProjections(graph, scheme);
      t.equal(turned.matrices, rotate ? config.layers : 0);
      t.equal(turned.bytes, rotate ? down : 0);
      if (rotate) {
        const packable = graph.matrices.map(({ rotationStages: _, ...info }) => info);
        const all = packedTensors({ ...graph, matrices: packable }, matrices, checkpoint, scheme);
        const bytes = all.filter(isDown).reduce((sum, tensor) => sum + tensor.bytes().length, 0);
        t.equal(turned.packedBytes, bytes);
      }
      // Scales are rounded to float32 once, the values once more.
      t.ok(worst <= 2 ** -22, `largest relative difference: ${worst}`);
    });
  }
}

t.test('projections whose last group is not full are known', (t) => {
  const checkpoint = openCheckpoint(bundledModelPath);
  t.teardown(() => checkpoint.close());
  const graph = buildGraph(checkpoint, 32, true);
  const [first, ...rest] = graph.matrices.filter(({ tensor }) => tensor.endsWith('_proj.weight'));
  const changed = { ...graph, matrices: [{ ...first!, columns: first!.columns + 1 }, ...rest] };
  t.same(unevenGroups(graph, { bits: 4, groupSize: 32 }), []);
  t.same(unevenGroups(changed, { bits: 4, groupSize: 32 }), [first!.tensor]);
  t.same(unevenGroups(changed, { bits: 8, groupSize: null }), []);
  t.end();
});

t.test('16 bits do not fit', async (t) => {
  const checkpoint = openCheckpoint(writeTinyModel(t.testdir()));
  t.teardown(() => checkpoint.close());
  const graph = buildGraph(checkpoint, 32);
  const matrices = await quantizeGraph(graph, checkpoint, namedPlans.int16!, 'int16', context());
  t.equal(packScheme(graph, matrices), null);
});

t.test('config.json says what the decoder is, whatever its rope and window', (t) => {
  const decoders: Partial<DecoderConfig>[] = [
    { architecture: 'llama2.c' },
    { architecture: 'Qwen2ForCausalLM', slidingWindow: 16 },
    { architecture: 'MistralForCausalLM' },
    { ropeScaling: { kind: 'linear', factor: 4 } },
    {
      ropeScaling: {
        ...{ kind: 'llama3', factor: 8, lowFrequencyFactor: 1 },
        ...{ highFrequencyFactor: 4, originalContext: 64 },
      },
    },
  ];
  const written = decoders.map((changes) =>
    huggingFaceConfig({ ...plainConfig, ...changes } as typeof plainConfig & { family: 'llama' }),
  );
  t.match(written[0], { architectures: ['LlamaForCausalLM'], model_type: 'llama' });
  t.match(written[1], {
    model_type: 'qwen2',
    sliding_window: 16,
    use_sliding_window: true,
    max_window_layers: 0,
  });
  t.match(written[2], { model_type: 'mistral', sliding_window: null });
  t.match(written[3], { rope_scaling: { rope_type: 'linear', factor: 4 } });
  t.match(written[4], { rope_scaling: { rope_type: 'llama3', original_max_position_embeddings: 64 } });
  t.end();
});

t.test('a folder that is not empty is left alone', async (t) => {
  const folder = t.testdir({ file: 'x' });
  await t.rejects(exportBundle('nowhere', { out: folder, model: null }, context()), { code: 'EM1142' });
});
