/** GPTQ, AWQ and compressed-tensors: read as exactly what they stand for, kept or re-expressed, refused when damaged. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import type { Checkpoint } from '../../../../codegen/checkpoint/checkpoint.js';
import { bundledModelPath } from '../../../../codegen/checkpoint/model-source.js';
import { openCheckpoint } from '../../../../codegen/checkpoint/open.js';
import { buildGraph } from '../../../../codegen/graph/build.js';
import { silentProgress } from '../../../../codegen/progress.js';
import { dequantizeRow } from '../../../../codegen/quantize/matrix.js';
import { namedPlans } from '../../../../codegen/quantize/plan.js';
import { quantizeGraph } from '../../../../codegen/quantize/quantize.js';
import { expectError } from '../expect-error.js';
import { fuzzReader } from '../fuzz-reader.js';
import { readEverything } from '../read-everything.js';
import { encodeFloats, type WrittenTensor, writeSafetensors } from '../safetensors-writer.js';
import { tinyTensor, writeTinyModel } from '../tiny-model.js';
import { type Grid, gridValues, makeGrid, writeAwq, writeGptq, writePacked } from './quantized-writers.js';

type Json = Record<string, unknown>;

interface Way {
  readonly config: Json;
  readonly bits: number;
  readonly symmetric: boolean;
  readonly leastZero?: number;
  /** Columns of a group, or null for all. */
  readonly groupSize: number | null;
  /** Whether columns belong to groups in another order. */
  readonly shuffled?: boolean;
  readonly write: (name: string, grid: Grid) => Record<string, WrittenTensor>;
}

const gptq = { quant_method: 'gptq', bits: 4, group_size: 32, desc_act: false, sym: false };
const awq = { quant_method: 'awq', bits: 4, group_size: 64, zero_point: true, version: 'GEMM' };

function packed(weights: Json): Json {
  const group = { targets: ['Linear'], input_activations: null, output_activations: null, weights };
  return {
    quant_method: 'compressed-tensors',
    format: 'pack-quantized',
    config_groups: { group_0: group },
    ignore: ['lm_head'],
  };
}

const ways: Readonly<Record<string, Way>> = {
  'GPTQ, first format': {
    config: gptq,
    ...{ bits: 4, symmetric: false, leastZero: 1, groupSize: 32 },
    write: (name, grid) => writeGptq(name, grid, 1),
  },
  'GPTQ, second format, act-order': {
    config: { ...gptq, desc_act: true, checkpoint_format: 'gptq_v2' },
    ...{ bits: 4, symmetric: false, groupSize: 32, shuffled: true },
    write: (name, grid) => writeGptq(name, grid, 2),
  },
  'GPTQ, 8 bits, one group': {
    config: { ...gptq, bits: 8, group_size: -1, sym: true },
    ...{ bits: 8, symmetric: true, groupSize: null },
    write: (name, grid) => writeGptq(name, grid, 1),
  },
  'GPTQ, symmetric': {
    config: { ...gptq, sym: true },
    ...{ bits: 4, symmetric: true, groupSize: 32 },
    write: (name, grid) => writeGptq(name, grid, 1),
  },
  AWQ: { config: awq, ...{ bits: 4, symmetric: false, groupSize: 64 }, write: writeAwq },
  'compressed-tensors, symmetric': {
    config: packed({ num_bits: 4, type: 'int', symmetric: true, strategy: 'group', group_size: 64 }),
    ...{ bits: 4, symmetric: true, groupSize: 64 },
    write: (name, grid) => writePacked(name, grid, true),
  },
  'compressed-tensors, zero points, act-order': {
    config: packed({
      num_bits: 4,
      type: 'int',
      symmetric: false,
      strategy: 'group',
      group_size: 32,
      actorder: 'group',
    }),
    ...{ bits: 4, symmetric: false, groupSize: 32, shuffled: true },
    write: (name, grid) => writePacked(name, grid, false, true),
  },
  'compressed-tensors, 8 bits a channel': {
    config: packed({ num_bits: 8, type: 'int', symmetric: true, strategy: 'channel' }),
    ...{ bits: 8, symmetric: true, groupSize: null },
    write: (name, grid) => writePacked(name, grid, true),
  },
};

/** The first layer of os-nano, its projections on a grid, its embedding and norms as they are. */
function writeQuantized(folder: string, way: Way, source: Checkpoint) {
  mkdirSync(folder, { recursive: true });
  const config = JSON.parse(readFileSync(join(source.path, 'config.json'), 'utf8')) as Json;
  const tensors: Record<string, WrittenTensor> = {};
  const expected = new Map<string, Float32Array>();
  for (const { name, shape } of source.tensors.values()) {
    if (/layers\.[^0]/.test(name)) continue;
    const [rows, columns] = [shape[0]!, shape[1] ?? 1];
    const weights = source.readRows(name, 0, rows);
    if (!/_proj\.weight$/.test(name)) {
      tensors[name] = { dtype: 'F32', shape, data: encodeFloats('F32', weights) };
      expected.set(name, weights);
      continue;
    }
    const size = way.groupSize ?? columns;
    const groupOf = Array.from({ length: columns }, (_, c) => {
      return Math.floor((way.shuffled ? (c * 7 + 3) % columns : c) / size);
    });
    const grid = makeGrid(weights, rows, columns, { ...way, groupOf });
    Object.assign(tensors, way.write(name.slice(0, -'.weight'.length), grid));
    expected.set(name, gridValues(grid));
  }
  writeFileSync(
    join(folder, 'config.json'),
    JSON.stringify({ ...config, num_hidden_layers: 1, quantization_config: way.config }),
  );
  writeFileSync(join(folder, 'model.safetensors'), writeSafetensors(tensors));
  return { folder, tensors, expected };
}

const source = openCheckpoint(bundledModelPath);
t.teardown(() => source.close());

for (const [name, way] of Object.entries(ways)) {
  t.test(`${name}: the same values as the encoder's`, (t) => {
    const { folder, expected } = writeQuantized(join(t.testdir(), 'model'), way, source);
    const checkpoint = openCheckpoint(folder);
    t.teardown(() => checkpoint.close());
    t.match(checkpoint.formatText, /Hugging Face folder with safetensors \((GPTQ|AWQ|pack-quantized)\)/);
    t.equal(checkpoint.tensors.size, 11);
    for (const [tensor, values] of expected) {
      const [rows] = checkpoint.tensors.get(tensor)!.shape;
      const found = checkpoint.readRows(tensor, 0, rows!);
      const differing = values.findIndex((value, i) => value !== found[i]);
      t.equal(differing, -1, `${tensor}: all values`);
      t.strictSame(
        checkpoint.readRows(tensor, rows! - 1, 1),
        found.slice(-found.length / rows!),
        'its last row',
      );
    }
    t.end();
  });
}

async function quantized(t: Test, way: Way, plan: keyof typeof namedPlans) {
  const { folder, expected } = writeQuantized(join(t.testdir(), 'model'), way, source);
  const checkpoint = openCheckpoint(folder);
  t.teardown(() => checkpoint.close());
  const warnings: string[] = [];
  const progress = { ...silentProgress, warn: (text: string) => void warnings.push(text) };
  const graph = buildGraph(checkpoint, 64);
  const signal = new AbortController().signal;
  const matrices = await quantizeGraph(graph, checkpoint, namedPlans[plan]!, plan, { progress, signal });
  const query = [...matrices.values()].find(({ name }) => name.endsWith('attn.q'))!;
  const row = new Float32Array(query.columns);
  dequantizeRow(query, 5, row);
  const wanted = expected
    .get('model.layers.0.self_attn.q_proj.weight')!
    .subarray(5 * row.length, 6 * row.length);
  const codes = checkpoint.gridOf!('model.layers.0.self_attn.q_proj.weight')!.codes;
  return { warnings, query, row, wanted, codes };
}

t.test(
  'a symmetric 4-bit grid stays as it is in w4; the scales move by a fraction of a percent',
  async (t) => {
    const { warnings, query, row, wanted, codes } = await quantized(t, ways['GPTQ, symmetric']!, 'int4');
    t.strictSame([...query.integers], [...codes], 'the integers of the checkpoint');
    t.equal(warnings.length, 1);
    t.match(
      warnings[0]!,
      /^weights came quantized: 7 matrices keep their integers.*\(relative error 0\.\d\d\d %\)$/,
    );
    const largest = Math.max(...wanted.map(Math.abs));
    t.ok(row.every((value, i) => Math.abs(value - wanted[i]!) <= largest / 200));
  },
);

t.test('a grid a channel of 8 bits stays as it is in w8, its scales but for their 11 bits', async (t) => {
  const { warnings, query, row, wanted, codes } = await quantized(
    t,
    ways['compressed-tensors, 8 bits a channel']!,
    'int8',
  );
  t.strictSame([...query.integers], [...codes]);
  t.match(warnings[0]!, /7 matrices keep their integers.*relative error 0\.0[0-4]\d %/);
  t.ok(row.every((value, i) => Math.abs(value - wanted[i]!) <= 2 ** -11 * Math.abs(wanted[i]!) * (1 + 1e-6)));
});

t.test('a grid that no format of the plan holds is rounded again, and the cost is told', async (t) => {
  const { warnings } = await quantized(t, ways['GPTQ, second format, act-order']!, 'int4');
  t.match(
    warnings[0]!,
    /^weights came quantized: 7 matrices were rounded again.*\(relative error \d+\.\d+ %\)$/,
  );
});

t.test('methods and settings that are not supported are refused by name', (t) => {
  const folder = writeQuantized(join(t.testdir(), 'model'), ways.AWQ!, source).folder;
  const path = join(folder, 'config.json');
  const config = JSON.parse(readFileSync(path, 'utf8')) as Json;
  const opening = (quantization: unknown) => () => {
    writeFileSync(path, JSON.stringify({ ...config, quantization_config: quantization }));
    openCheckpoint(folder).close();
  };
  const cases: [Json, RegExp][] = [
    [
      { quant_method: 'bitsandbytes', load_in_4bit: true },
      /quant_method is "bitsandbytes"; supported: gptq, awq/,
    ],
    [{}, /quant_method is absent/],
    [{ ...gptq, bits: 3 }, /bits is 3; supported: 2, 4, 8/],
    [{ ...gptq, checkpoint_format: 'marlin' }, /checkpoint_format is "marlin"/],
    [{ ...awq, version: 'gemv' }, /version is "gemv"; supported: gemm/],
    [{ ...awq, bits: 8 }, /bits is 8; supported: 4/],
    [{ ...packed({}), format: 'float-quantized' }, /format is "float-quantized"; supported: pack-quantized/],
    [packed({ num_bits: 4, type: 'float', group_size: 32 }), /type is "float"; supported: int/],
    [packed({ num_bits: 4, strategy: 'block' }), /strategy is "block"; supported: group, channel, tensor/],
    [{ ...packed({}), config_groups: { a: {}, b: {} } }, /config_groups is .*supported: one group of layers/],
  ];
  for (const [quantization, pattern] of cases) expectError(t, 'EM1037', pattern, opening(quantization));
  expectError(t, 'EM1006', /quantization_config is 4; expected: an object/, opening(4));
  expectError(t, 'EM1006', /group_size is 0/, opening({ ...gptq, group_size: 0 }));
  expectError(t, 'EM1005', /num_bits is missing/, opening(packed({ type: 'int' })));
  t.end();
});

t.test('parts that are missing, misshapen or point outside are refused', (t) => {
  const folder = join(t.testdir(), 'model');
  const { tensors } = writeQuantized(folder, ways['GPTQ, second format, act-order']!, source);
  const name = 'model.layers.0.self_attn.q_proj';
  const reading = (changes: Record<string, WrittenTensor | undefined>) => () => {
    const left = Object.entries({ ...tensors, ...changes }).flatMap(([key, value]) =>
      value ? [[key, value] as const] : [],
    );
    writeFileSync(join(folder, 'model.safetensors'), writeSafetensors(Object.fromEntries(left)));
    readEverything(folder);
  };
  const part = (end: string) => tensors[`${name}.${end}`]!;
  expectError(t, 'EM1036', /q_proj: scales is missing/, reading({ [`${name}.scales`]: undefined }));
  expectError(
    t,
    'EM1036',
    /qzeros is I32 .*expected: I32 or U32/,
    reading({ [`${name}.qzeros`]: { ...part('qzeros'), shape: [24, 6] } }),
  );
  const order = Int32Array.from({ length: 192 }, (_, i) => (i === 9 ? 6 : 0));
  const outside = { ...part('g_idx'), data: new Uint8Array(order.buffer) };
  expectError(t, 'EM1036', /g_idx puts input 9 into group 6 of 6/, reading({ [`${name}.g_idx`]: outside }));
  expectError(t, 'EM1036', /a weight beside its codes/, reading({ [`${name}.weight`]: part('scales') }));
  const flat = { ...part('qweight'), shape: [24 * 192] };
  expectError(t, 'EM1036', /qweight has 1 dimensions/, reading({ [`${name}.qweight`]: flat }));
  const infinite = { ...part('scales'), data: Buffer.from(part('scales').data).fill(0x7c, 0, 2) };
  infinite.data[0] = 0;
  expectError(t, 'EM1010', /q_proj.weight: element/, reading({ [`${name}.scales`]: infinite }));
  t.end();
});

for (const name of [
  'GPTQ, second format, act-order',
  'AWQ',
  'compressed-tensors, zero points, act-order',
] as const) {
  t.test(`${name}: damaged weights are read or refused by number`, (t) => {
    const folder = t.testdir();
    const mlp = Object.fromEntries(
      [0, 1].flatMap((layer) =>
        Object.entries({ gate: [24, 16], up: [24, 16], down: [16, 24] }).map(([part, shape]) => {
          const name = `model.layers.${layer}.mlp.${part}_proj.weight`;
          return [name, tinyTensor(name, shape)];
        }),
      ),
    );
    const tiny = openCheckpoint(
      writeTinyModel(join(folder, 'tiny'), { config: { intermediate_size: 24 }, tensors: mlp }),
    );
    t.teardown(() => tiny.close());
    const made = writeQuantized(join(folder, 'quantized'), { ...ways[name]!, shuffled: false }, tiny).folder;
    const path = join(made, 'model.safetensors');
    const bytes = readFileSync(path);
    const header = Number(bytes.readBigUInt64LE(0));
    const boundaries = [
      0,
      8,
      ...Array.from({ length: 20 }, (_, i) => 8 + Math.floor((header * i) / 20)),
      8 + header,
    ];
    fuzzReader(t, path, [{ name, bytes, boundaries }], () => readEverything(dirname(path)));
    t.end();
  });
}
