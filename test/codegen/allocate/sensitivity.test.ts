/** Sensitivities of the tiny model: what is measured one by one, and what follows for all of them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import {
  type AllocatedFormat,
  allocatedFormats,
  measureSensitivities,
} from '../../../codegen/allocate/sensitivity.js';
import { Pcg32 } from '../../../codegen/arithmetic/pcg32.js';
import type { FloatWeights } from '../../../codegen/calibrate/float-evaluator.js';
import { checkpointWeights, dequantizedWeights } from '../../../codegen/calibrate/float-weights.js';
import { LayerStream } from '../../../codegen/calibrate/layer-stream.js';
import { createLinearAlgebra } from '../../../codegen/calibrate/linear-algebra.js';
import { openCheckpoint } from '../../../codegen/checkpoint/open.js';
import { LogitComparison } from '../../../codegen/evaluate/logit-comparison.js';
import { buildGraph } from '../../../codegen/graph/build.js';
import { silentProgress } from '../../../codegen/progress.js';
import { quantizeSequentially } from '../../../codegen/quantize/gptq/quantize-sequentially.js';
import { encodeFloats } from '../checkpoint/safetensors-writer.js';
import { tinyShapes, tinyValues, writeTinyModel } from '../checkpoint/tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'em-sensitivity-'));
t.teardown(() => rmSync(folder, { recursive: true }));
const WINDOW = 48;
const random = new Pcg32(4n);
const windowsOf = (count: number) =>
  Array.from({ length: count }, () => Array.from({ length: WINDOW }, () => random.nextBelow(12)));

const stage = { progress: silentProgress, signal: new AbortController().signal };
// An eighth of the tiny model's weights: its logits are so far apart that no divergence is small.
const tensors = Object.fromEntries(
  Object.entries(tinyShapes)
    .filter(([, shape]) => shape.length === 2)
    .map(([name, shape]) => {
      const values = tinyValues(name, shape).map((v) => v / 8);
      return [name, { dtype: 'F32', shape, data: encodeFloats('F32', values) } as const];
    }),
);
const checkpoint = openCheckpoint(writeTinyModel(folder, { tensors }));
t.teardown(() => checkpoint.close());
const graph = buildGraph(checkpoint, WINDOW);
const weights = checkpointWeights(checkpoint, graph);
const [calibration, probe] = [windowsOf(24), windowsOf(8)];
const common = { graph, checkpoint, weights, groupSize: 32, algebra: createLinearAlgebra() };

async function logitsOf(source: FloatWeights): Promise<Float32Array[]> {
  const stream = new LayerStream(graph, source, createLinearAlgebra(), probe);
  await stream.begin(stage.signal);
  for (const layer of graph.layers.keys()) await stream.layer(layer, null, true, stage.signal);
  const logits: Float32Array[] = [];
  await stream.epilogue(null, (window, values) => (logits[window] = values.slice()), stage.signal);
  return logits;
}

/** Mean divergence of quantized weights from the checkpoint's over the probe, where another token follows. */
async function divergenceOf(source: FloatWeights): Promise<number> {
  const comparison = new LogitComparison();
  const size = graph.vocabSize;
  const reference = await logitsOf(weights);
  let sum = 0;
  for (const [w, logits] of (await logitsOf(source)).entries()) {
    for (let i = 0; i + 1 < WINDOW; i++) {
      const at = (values: Float32Array) => values.subarray(i * size, (i + 1) * size);
      sum += comparison.compare(at(reference[w]!), at(logits), probe[w]![i + 1]!).divergence;
    }
  }
  return sum / (probe.length * (WINDOW - 1));
}

const sensitivities = await measureSensitivities({ ...common, calibration, probe }, stage);
const predicted = (format: AllocatedFormat) =>
  sensitivities.reduce((sum, { divergence }) => sum + divergence[format], 0);

t.test('every matrix has one, which falls with every bit', async (t) => {
  t.same(
    sensitivities.map(({ matrix }) => matrix),
    graph.matrices.map(({ name }) => name),
  );
  for (const { matrix, divergence } of sensitivities) {
    const falling = allocatedFormats.map((format) => divergence[format]);
    t.ok(
      falling.every((v, i) => v > 0 && (i === 0 || v < falling[i - 1]!)),
      `${matrix}: ${falling.map((v) => v.toExponential(1)).join(' ')}`,
    );
  }
});

for (const format of ['w5', 'w6'] as const) {
  t.test(`${format} everywhere: the sum of all is nearly what is measured`, async (t) => {
    const formats = new Map(graph.matrices.map(({ name }) => [name, format]));
    const matrices = await quantizeSequentially({ ...common, formats, windows: calibration }, stage);
    const measured = await divergenceOf(dequantizedWeights(checkpoint, graph, matrices));
    const ratio = predicted(format) / measured;
    t.ok(ratio > 0.75 && ratio < 1.33, `predicted over measured: ${ratio.toFixed(3)}`);
  });
}

t.test('the same input gives the same sensitivities, to the last bit', async (t) => {
  t.same(await measureSensitivities({ ...common, calibration, probe }, stage), sensitivities);
});
