/**
 * What export writes is read by transformers with compressed-tensors: the weights that they unpack are those of the bundle's blob, and
 * their logits those of the quantized model in float. Needs Python packages of 5 GB: see transformers-environment.ts.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import t, { type Test } from 'tap';
import { FloatEvaluator } from '../../../codegen/calibrate/float-evaluator.js';
import { dequantizedWeights } from '../../../codegen/calibrate/float-weights.js';
import { createLinearAlgebra } from '../../../codegen/calibrate/linear-algebra.js';
import { openCheckpoint } from '../../../codegen/checkpoint/open.js';
import { openReferenceSource, readReference } from '../../../codegen/evaluate/reference-model.js';
import { exportBundle } from '../../../codegen/export/export-bundle.js';
import type { MatrixInfo } from '../../../codegen/graph/graph.js';
import { dequantizeMatrix } from '../../../codegen/quantize/matrix.js';
import { namedPlans, type Plan } from '../../../codegen/quantize/plan.js';
import { targets } from '../../../targets/index.js';
import {
  buildBundle,
  cannotRun,
  projectRoot,
  temporaryFolder,
  tinyModels,
  writeCheckpoint,
} from '../../end-to-end/tiny-bundles.js';
import { quietContext } from '../evaluate/tiny-bundle.js';
import { transformersPython } from './transformers-environment.js';

t.setTimeout(3_600_000);

const w5w6: Plan = {
  ...{ schemaVersion: 1, name: 'w5-w6', groupSize: 32, rotate: false },
  rules: [
    { match: '*attn*', format: 'w5' },
    { match: '*', format: 'w6' },
  ],
};

/** transformers refuses a Llama whose hidden size is no multiple of its heads. */
const readable = tinyModels.filter(({ name }) => name !== 'odd widths');

/** The bundled model, or a tiny one of tiny-bundles.ts with another config.json; and its plan. */
const cases: readonly (readonly [model: string | null, plan: Plan])[] = [
  ...[namedPlans.int8!, namedPlans.int4!, w5w6].map((plan) => [null, plan] as const),
  ...readable.map(({ name }) => [name, namedPlans.int8!] as const),
  ['linear rope', namedPlans.int4!],
];

const ids = [1, 5, 9, 17, 33, 65, 129, 257, 2, 4, 8, 16, 32, 64, 128, 256, 3, 7, 21, 63, 189, 44, 132, 99];
const target = targets[0]!;
const python = transformersPython();
const skip = typeof python === 'string' ? python : await cannotRun(target);

t.test('transformers reads what export writes', { skip }, async (t) => {
  if (typeof python === 'string') return;
  const folder = temporaryFolder(t);
  const made: { readonly bundle: string; readonly exported: string; readonly named: string }[] = [];
  for (const [i, [name, plan]] of cases.entries()) {
    const tiny = tinyModels.find((model) => model.name === name);
    const model = tiny === undefined ? null : writeCheckpoint(tiny, join(folder, `model-${i}`));
    const out = join(folder, `bundle-${i}`);
    const { bundle } = await buildBundle({ target, model, out, plan, method: 'nearest', context: 64 });
    const exported = join(folder, `exported-${i}`);
    const context = quietContext();
    await exportBundle(bundle, { out: exported, model: null }, context);
    t.same(context.warnings, []);
    made.push({ bundle, exported, named: `${name ?? 'bundled model'}, ${plan.name}` });
  }
  const script = join(projectRoot, 'test', 'codegen', 'export', 'read-with-transformers.py');
  const read = spawnSync(python.python, [script, ids.join(), ...made.map(({ exported }) => exported)], {
    ...{ encoding: 'utf8', timeout: 1_800_000 },
    env: { ...process.env, HF_HUB_OFFLINE: '1', CUDA_VISIBLE_DEVICES: '' },
  });
  t.equal(read.status, 0, read.stderr.slice(-2000));
  for (const { bundle, exported, named } of made) await t.test(named, (t) => compare(t, bundle, exported));
});

/** The bundle's weights and logits with those that transformers read from the exported folder. */
async function compare(t: Test, bundle: string, exported: string): Promise<void> {
  const manifest = JSON.parse(readFileSync(join(bundle, 'manifest.json'), 'utf8'));
  const source = openReferenceSource(manifest, null);
  t.teardown(() => source.checkpoint.close());
  const { graph, matrices } = await readReference(bundle, manifest, source, quietContext());
  const read = `${exported}-read`;
  copyFileSync(join(source.path, 'config.json'), join(read, 'config.json'));
  const found = openCheckpoint(read);
  t.teardown(() => found.close());
  const worst = { equal: 0, packed: 0, turned: 0 };
  for (const info of graph.matrices) {
    const values = asTurned(found.readRows(info.tensor, 0, info.rows), info);
    const expected = dequantizeMatrix(matrices.get(info.name)!);
    t.equal(values.length, expected.length);
    const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    for (const [i, value] of expected.entries()) {
      const difference = Math.abs(values[i]! - value);
      if (difference === 0) worst.equal++;
      // Turning back adds up to 32 values.
      else if (info.rotationStages !== undefined) worst.turned = Math.max(worst.turned, difference / largest);
      else worst.packed = Math.max(worst.packed, difference / Math.abs(value));
    }
  }
  const count = graph.matrices.reduce((sum, { rows, columns }) => sum + rows * columns, 0);
  t.comment(
    `${basename(exported)}: ${worst.equal} of ${count} weights equal; relative differences at most ${worst.packed}, of turned ones ${worst.turned}`,
  );
  // A scale is rounded to float32 once, and a product once more, here and there.
  t.ok(worst.packed <= 2 ** -22, `${worst.packed}`);
  t.ok(worst.turned <= 2 ** -20, `${worst.turned}`);
  const weights = dequantizedWeights(source.checkpoint, graph, matrices);
  const logits = new FloatEvaluator(graph, weights, createLinearAlgebra()).run(ids);
  const theirs = new Float32Array(Uint8Array.from(readFileSync(join(read, 'logits.bin'))).buffer);
  t.equal(theirs.length, logits.length);
  const range = logits.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const apart = logits.reduce((most, value, i) => Math.max(most, Math.abs(value - theirs[i]!)), 0);
  t.comment(`${basename(exported)}: logits up to ${range}, at most ${apart} apart`);
  t.ok(apart <= 1e-4 * range, `logits differ by ${apart} of ${range}`);
}

/** float32[rows x columns] as the model multiplies its turned input: W (H (x) I) 2^-stages, by the definition of H. */
function asTurned(weights: Float32Array, { rows, columns, rotationStages }: MatrixInfo): Float32Array {
  if (rotationStages === undefined) return weights;
  const size = 2 ** rotationStages;
  const apart = columns / size;
  const bits = (value: number) => value.toString(2).replaceAll('0', '').length;
  const signs = Array.from({ length: size * size }, (_, i) =>
    bits(Math.floor(i / size) & (i % size)) % 2 === 0 ? 1 : -1,
  );
  const out = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const [block, at] = [Math.floor(column / apart), column % apart];
      let sum = 0;
      for (let other = 0; other < size; other++)
        sum += signs[block * size + other]! * weights[row * columns + other * apart + at]!;
      out[row * columns + column] = sum / size;
    }
  }
  return out;
}
