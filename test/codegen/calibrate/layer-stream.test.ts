import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { FloatEvaluator } from '../../../codegen/calibrate/float-evaluator.js';
import { checkpointWeights } from '../../../codegen/calibrate/float-weights.js';
import { LayerStream, liveBuffers } from '../../../codegen/calibrate/layer-stream.js';
import { PlainLinearAlgebra } from '../../../codegen/calibrate/linear-algebra-plain.js';
import { OverlaidWeights } from '../../../codegen/calibrate/overlaid-weights.js';
import { openCheckpoint } from '../../../codegen/checkpoint/open.js';
import { buildGraph } from '../../../codegen/graph/build.js';
import type { Graph } from '../../../codegen/graph/graph.js';
import { writeGpt2Checkpoint } from '../../end-to-end/tiny-families.js';
import { writeTinyModel } from '../checkpoint/tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'em-stream-'));
t.teardown(() => rmSync(folder, { recursive: true }));
const { signal } = new AbortController();
const algebra = new PlainLinearAlgebra();
const windows = [[1, 5, 9, 3, 2, 8, 8], [4], [0, 7, 2, 10, 6, 1]];

/** Bits of values: compared far faster than arrays are. */
const bitsOf = (values: Float32Array) => Buffer.from(values.slice().buffer).toString('base64');

async function runAll(stream: LayerStream, graph: Graph): Promise<string[]> {
  for (let layer = 0; layer < graph.layerCount; layer++) await stream.layer(layer, null, true, signal);
  const logits: string[] = [];
  await stream.epilogue(null, (window, values) => (logits[window] = bitsOf(values)), signal);
  return logits;
}

const families = [
  ['llama', writeTinyModel(join(folder, 'llama'))],
  ['gpt2', writeGpt2Checkpoint(join(folder, 'gpt2'), {})],
] as const;

for (const [family, path] of families) {
  t.test(`${family}: layer by layer, the logits are those of one run`, async (t) => {
    const checkpoint = openCheckpoint(path);
    t.teardown(() => checkpoint.close());
    const graph = buildGraph(checkpoint, 16);
    const weights = checkpointWeights(checkpoint, graph);
    const evaluator = new FloatEvaluator(graph, weights, algebra);
    const expected = windows.map((ids) => {
      evaluator.reset();
      return bitsOf(evaluator.run(ids));
    });
    t.equal(liveBuffers(graph).length, 1, 'layers leave each other the residual stream alone');

    const overlaid = new OverlaidWeights(weights);
    const stream = new LayerStream(graph, overlaid, algebra, windows);
    await stream.begin(signal);
    const start = stream.save();
    t.same(await runAll(stream, graph), expected);

    // A layer that does not advance leaves the windows where they were.
    stream.rewind(start);
    await stream.layer(0, null, false, signal);
    await stream.layer(1, null, false, signal);
    t.same(await runAll(stream, graph), expected, 'again, after layers that did not advance');

    const last = graph.layers.at(-1)!.findLast((op) => op.kind === 'linear')!.matrix;
    const { rows, columns } = graph.matrices.find(({ name }) => name === last)!;
    stream.rewind(start);
    overlaid.set(last, new Float32Array(rows * columns), columns);
    t.notSame(await runAll(stream, graph), expected, 'with a matrix replaced');
    overlaid.delete(last);
    stream.rewind(start);
    t.same(await runAll(stream, graph), expected, 'and taken back');

    const seen = new Map<string, number>();
    stream.rewind(start);
    await stream.layer(
      0,
      (matrix, _x, tokens) => seen.set(matrix, (seen.get(matrix) ?? 0) + tokens),
      false,
      signal,
    );
    const linear = graph.layers[0]!.flatMap((op) => (op.kind === 'linear' ? [op.matrix] : []));
    t.same(
      [...seen],
      linear.map((matrix) => [matrix, 14]),
      'inputs of every matrix are seen',
    );

    stream.rewind(start);
    const sections = [...graph.layers.keys(), 'epilogue' as const];
    const inputs: string[] = [];
    for (const section of sections) {
      const ops = section === 'epilogue' ? graph.epilogue : graph.layers[section]!;
      for (const [i, op] of ops.entries()) {
        if (op.kind === 'linear')
          inputs.push(...[...stream.waiting(op.input)].map(({ values }) => bitsOf(values)));
        await stream.ops(section, i, i + 1, signal);
      }
      if (section !== 'epilogue') t.equal([...stream.waiting('x')].length, windows.length);
    }
    const whole: string[][] = [];
    stream.rewind(start);
    const see = (matrix: string, x: Float32Array) => {
      const site = linearNames.indexOf(matrix);
      whole[site] = [...(whole[site] ?? []), bitsOf(x)];
    };
    const linearNames = [...graph.layers.flat(), ...graph.epilogue].flatMap((op) =>
      op.kind === 'linear' ? [op.matrix] : [],
    );
    for (const layer of graph.layers.keys()) await stream.layer(layer, see, true, signal);
    await stream.epilogue(see, () => {}, signal);
    t.same(inputs, whole.flat(), 'op by op, matrices have the same inputs');
  });
}
