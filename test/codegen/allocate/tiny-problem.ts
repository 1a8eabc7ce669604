/** A small model with text, on which plans can be solved for in well under a second. */
import { join } from 'node:path';
import type { Test } from 'tap';
import { Pcg32 } from '../../../codegen/arithmetic/pcg32.js';
import { checkpointWeights } from '../../../codegen/calibrate/float-weights.js';
import { createLinearAlgebra } from '../../../codegen/calibrate/linear-algebra.js';
import { openCheckpoint } from '../../../codegen/checkpoint/open.js';
import { buildGraph } from '../../../codegen/graph/build.js';
import { encodeFloats } from '../checkpoint/safetensors-writer.js';
import { tinyShapes, tinyValues, writeTinyModel } from '../checkpoint/tiny-model.js';

const WINDOW = 48;

/** The tiny model with an eighth of its weights: its own logits are so far apart that no divergence is small. */
export function tinyProblem(t: Test) {
  const tensors = Object.fromEntries(
    Object.entries(tinyShapes)
      .filter(([, shape]) => shape.length === 2)
      .map(([name, shape]) => {
        const values = tinyValues(name, shape).map((v) => v / 8);
        return [name, { dtype: 'F32', shape, data: encodeFloats('F32', values) } as const];
      }),
  );
  const checkpoint = openCheckpoint(writeTinyModel(join(t.testdir(), 'model'), { tensors }));
  t.teardown(() => checkpoint.close());
  const graph = buildGraph(checkpoint, WINDOW);
  const random = new Pcg32(4n);
  const windowsOf = (count: number) =>
    Array.from({ length: count }, () => Array.from({ length: WINDOW }, () => random.nextBelow(12)));
  return {
    ...{ graph, checkpoint, weights: checkpointWeights(checkpoint, graph), groupSize: 32 as const },
    ...{ algebra: createLinearAlgebra(), calibration: windowsOf(24), probe: windowsOf(8) },
  };
}
