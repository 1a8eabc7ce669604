/** GPTQ over the bundled model: sites, and what it is for. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { FloatWeights } from '../../../../codegen/calibrate/float-evaluator.js';
import { FloatEvaluator } from '../../../../codegen/calibrate/float-evaluator.js';
import { checkpointWeights, dequantizedWeights } from '../../../../codegen/calibrate/float-weights.js';
import { createLinearAlgebra } from '../../../../codegen/calibrate/linear-algebra.js';
import { openCheckpoint } from '../../../../codegen/checkpoint/open.js';
import { LogitComparison } from '../../../../codegen/evaluate/logit-comparison.js';
import { buildGraph } from '../../../../codegen/graph/build.js';
import { silentProgress } from '../../../../codegen/progress.js';
import type { FormatName } from '../../../../codegen/quantize/format.js';
import {
  matricesByInput,
  matrixSource,
  quantizeSequentially,
} from '../../../../codegen/quantize/gptq/quantize-sequentially.js';
import { roundToNearest } from '../../../../codegen/quantize/round-to-nearest.js';
import { root } from '../../../templates/c-compiler.js';

const folder = join(root, 'models', 'os-nano');
const WINDOW = 64;
const windowsOf = (file: string, count: number) => {
  const bytes = readFileSync(join(folder, file));
  const id = (i: number) => bytes.readUInt16LE(2 * i);
  return Array.from({ length: count }, (_, w) =>
    Array.from({ length: WINDOW }, (_, i) => id(w * WINDOW + i)),
  );
};

const stage = { progress: silentProgress, signal: new AbortController().signal };
const checkpoint = openCheckpoint(folder);
t.teardown(() => checkpoint.close());
const graph = buildGraph(checkpoint, WINDOW);
const weights = checkpointWeights(checkpoint, graph);

/** Mean divergence from the checkpoint over windows of text that calibration never saw. */
function divergenceOf(quantized: FloatWeights): number {
  const comparison = new LogitComparison();
  const size = graph.vocabSize;
  const windows = windowsOf('validation.u16', 4);
  let sum = 0;
  for (const ids of windows) {
    const expected = new FloatEvaluator(graph, weights, createLinearAlgebra()).run(ids);
    const found = new FloatEvaluator(graph, quantized, createLinearAlgebra()).run(ids);
    for (let i = 0; i + 1 < WINDOW; i++) {
      const at = (values: Float32Array) => values.subarray(i * size, (i + 1) * size);
      sum += comparison.compare(at(expected), at(found), ids[i + 1]!).divergence;
    }
  }
  return sum / (windows.length * (WINDOW - 1));
}

t.test('matrices that share an input are one site', async (t) => {
  t.same(matricesByInput(graph.layers[0]!), [
    ['layers.0.attn.q', 'layers.0.attn.k', 'layers.0.attn.v'],
    ['layers.0.attn.o'],
    ['layers.0.mlp.gate', 'layers.0.mlp.up'],
    ['layers.0.mlp.down'],
  ]);
});

t.test('layer by layer, GPTQ diverges less than rounding to nearest', async (t) => {
  const formats = new Map(graph.matrices.map(({ name }): [string, FormatName] => [name, 'w4']));
  const input = { graph, checkpoint, weights, formats, groupSize: 32, algebra: createLinearAlgebra() };
  const windows = windowsOf('calibration.u16', 16);
  const quantized = await quantizeSequentially({ ...input, windows }, stage);
  t.same(
    [...quantized.keys()],
    graph.matrices.map(({ name }) => name),
    'every matrix, in the order of the graph',
  );
  const nearest = new Map(
    graph.matrices.map((info) => [info.name, roundToNearest(matrixSource(checkpoint, info), 'w4')]),
  );
  const gptq = divergenceOf(dequantizedWeights(checkpoint, graph, quantized));
  const rounded = divergenceOf(dequantizedWeights(checkpoint, graph, nearest));
  t.ok(gptq < 0.9 * rounded, `${gptq.toFixed(4)} nats against ${rounded.toFixed(4)}`);
});
