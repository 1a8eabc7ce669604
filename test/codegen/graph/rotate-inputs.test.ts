/** Turned inputs: the same function, other matrices. */
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { FloatEvaluator } from '../../../codegen/calibrate/float-evaluator.js';
import { checkpointWeights } from '../../../codegen/calibrate/float-weights.js';
import { PlainLinearAlgebra } from '../../../codegen/calibrate/linear-algebra-plain.js';
import type { Checkpoint } from '../../../codegen/checkpoint/checkpoint.js';
import { openCheckpoint } from '../../../codegen/checkpoint/open.js';
import { buildGraph } from '../../../codegen/graph/build.js';
import { bufferOf, type Graph } from '../../../codegen/graph/graph.js';
import { readMatrixRows, stagesFor, unrotatedRows } from '../../../codegen/graph/rotate-inputs.js';
import { writeGpt2Checkpoint } from '../../end-to-end/tiny-families.js';
import { writeTinyModel } from '../checkpoint/tiny-model.js';
import { randomFloats } from '../quantize/random-weights.js';
import { shapeCheckpoint } from './shape-checkpoint.js';

const ids = [1, 5, 9, 3, 2, 8];

function logitsOf(checkpoint: Checkpoint, graph: Graph): Float32Array {
  return new FloatEvaluator(graph, checkpointWeights(checkpoint, graph), new PlainLinearAlgebra()).run(ids);
}

t.test('stages: the largest power of two that divides the width, up to 32', async (t) => {
  t.same([1536, 864, 48, 172, 344, 6, 7].map(stagesFor), [5, 5, 4, 2, 3, 0, 0]);
});

for (const [family, write] of [
  ['llama', (folder: string) => writeTinyModel(folder)],
  ['gpt2', (folder: string) => writeGpt2Checkpoint(folder, {}, 72)],
] as const) {
  t.test(`${family}: the same logits, and other weights only where inputs are turned`, async (t) => {
    const checkpoint = openCheckpoint(write(join(t.testdir(), 'model')));
    t.teardown(() => checkpoint.close());
    const plain = buildGraph(checkpoint, 16);
    const turned = buildGraph(checkpoint, 16, true);
    const stages = stagesFor(bufferOf(plain, 'h').width);
    t.ok(stages >= 2);
    const rotated = turned.matrices.filter(({ rotationStages }) => rotationStages === stages);
    t.same(
      rotated.map(({ name }) => name),
      turned.matrices.map(({ name }) => name).filter((name) => name.endsWith('.mlp.down')),
    );
    const expected = logitsOf(checkpoint, plain);
    const found = logitsOf(checkpoint, turned);
    const size = expected.reduce((max, v) => Math.max(max, Math.abs(v)), 0);
    t.ok(expected.every((v, i) => Math.abs(v - found[i]!) < 1e-5 * size));

    const info = rotated[0]!;
    const own = checkpoint.readRows(info.tensor, 0, info.rows);
    const rows = readMatrixRows(checkpoint, info, 0, info.rows);
    t.notSame(rows, own);
    t.ok(
      unrotatedRows(rows, info).every((w, i) => Math.abs(w - own[i]!) < 1e-6),
      'and back',
    );
  });
}

t.test(
  'a width that powers of two hardly divide, and weights that came as integers, are left alone',
  async (t) => {
    const odd = shapeCheckpoint({ intermediateSize: 150 });
    t.same(buildGraph(odd, 16, true), buildGraph(odd, 16));
    const even = shapeCheckpoint({});
    t.notSame(buildGraph(even, 16, true), buildGraph(even, 16));
    const grid = {} as NonNullable<ReturnType<NonNullable<Checkpoint['gridOf']>>>;
    const integers = { ...even, gridOf: (name: string) => (/down_proj/.test(name) ? grid : undefined) };
    t.same(buildGraph(integers, 16, true), buildGraph(even, 16));
  },
);

t.test('turning rows keeps every product with an input that is turned as well', async () => {
  const shape = [fc.integer({ min: 1, max: 12 }), fc.integer({ min: 2, max: 5 }), fc.nat(1e6)] as const;
  fc.assert(
    fc.property(...shape, (m, stages, seed) => {
      const columns = m * 2 ** stages;
      const info = { name: 'm', aliases: [], tensor: 't', rows: 1, columns, rotationStages: stages };
      const w = randomFloats(columns, seed);
      const x = randomFloats(columns, seed + 1);
      const checkpoint = { ...shapeCheckpoint({}), readRows: () => w.slice() };
      const turned = readMatrixRows(checkpoint, info, 0, 1);
      const input = unrotatedRows(x, info); // the transform alone: what the op does to an input
      const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, v, i) => sum + v * b[i]!, 0);
      const bound = 1e-5 * Math.sqrt(dot(w, w) * dot(x, x));
      return Math.abs(dot(w, x) - dot(turned, input)) <= bound;
    }),
  );
});
