import t from 'tap';
import { LayerStream } from '../../../codegen/calibrate/layer-stream.js';
import { measureTensors } from '../../../codegen/calibrate/measure-tensors.js';
import { silentProgress } from '../../../codegen/progress.js';
import { Hessian } from '../../../codegen/quantize/gptq/hessian.js';
import { dequantizeMatrix } from '../../../codegen/quantize/matrix.js';
import { quantizeGraph } from '../../../codegen/quantize/quantize.js';
import { tinyProblem } from '../allocate/tiny-problem.js';

const context = { progress: silentProgress, signal: new AbortController().signal };

/** tr(D H D^T) for D float32[rows x columns]: the squared output of D, summed over the inputs that H was made of. */
function squaredOutput(d: Float32Array, { sums, columns }: Hessian): number {
  let total = 0;
  for (let at = 0; at < d.length; at += columns) {
    for (let i = 0; i < columns; i++)
      for (let j = 0; j < columns; j++) total += d[at + i]! * sums[i * columns + j]! * d[at + j]!;
  }
  return total;
}

t.test('records of a model: one a matrix, each as its weights and its Hessian say', async (t) => {
  const { graph, checkpoint, weights, algebra, calibration } = tinyProblem(t);
  const windows = calibration.slice(0, 3);
  const rules = [
    { match: 'layers.0.*', format: 'w4' as const },
    { match: '*', format: 'w6' as const },
  ];
  const plan = { schemaVersion: 1 as const, name: 'test', groupSize: 32 as const, rules };
  const matrices = await quantizeGraph(graph, checkpoint, plan, 'test', context);
  const divergences = new Map(graph.matrices.map(({ name }, i) => [name, i]));
  const records = await measureTensors({ graph, weights, matrices, windows, divergences }, context);

  t.same(
    records.map(({ name }) => name),
    graph.matrices.map(({ name }) => name),
  );
  t.ok(Math.abs(records.reduce((sum, { kldShare }) => sum + kldShare!, 0) - 1) < 1e-12);
  const of = (name: string) => records.find((record) => record.name === name)!;
  t.ok(of('layers.1.attn.q').sqnrDb! > of('layers.0.attn.q').sqnrDb! + 9, '6 dB a bit, two bits');

  const name = 'layers.1.mlp.down';
  const hessian = new Hessian(graph.matrices.find((matrix) => matrix.name === name)!.columns);
  const stream = new LayerStream(graph, weights, algebra, windows);
  await stream.begin(context.signal);
  await stream.layer(0, null, true, context.signal);
  const observe = (matrix: string, x: Float32Array, tokens: number) => {
    if (matrix === name) hessian.add(x, tokens, algebra);
  };
  await stream.layer(1, observe, true, context.signal);
  const matrix = matrices.get(name)!;
  const w = weights.block(name, 0, matrix.rows).w;
  const error = dequantizeMatrix(matrix).map((q, i) => w[i]! - q);
  const expected = Math.sqrt(squaredOutput(error, hessian) / squaredOutput(w, hessian));
  const { outputError, mse } = of(name);
  t.ok(Math.abs(outputError! / expected - 1) < 1e-3, `${outputError} against ${expected}`);
  t.ok(Math.abs(mse / (error.reduce((sum, e) => sum + e * e, 0) / error.length) - 1) < 1e-6);

  const bare = await measureTensors({ graph, weights, matrices, windows, divergences: null }, context);
  t.ok(
    bare.every(({ kldShare }) => kldShare === null),
    'no share where divergences were not measured',
  );
});
