import fc from 'fast-check';
import type { Test } from 'tap';
import { FloatEvaluator } from '../../../../codegen/calibrate/float-evaluator.js';
import { checkpointWeights } from '../../../../codegen/calibrate/float-weights.js';
import { PlainLinearAlgebra } from '../../../../codegen/calibrate/linear-algebra-plain.js';
import type { Checkpoint } from '../../../../codegen/checkpoint/checkpoint.js';
import { buildGraph } from '../../../../codegen/graph/build.js';
import type { Graph } from '../../../../codegen/graph/graph.js';
import { FoldedCheckpoint } from '../../../../codegen/quantize/folds/folded-checkpoint.js';

const ids = [1, 5, 9, 3, 2, 8, 0, 4];

function logitsOf(checkpoint: Checkpoint, graph: Graph): Float32Array {
  const evaluator = new FloatEvaluator(graph, checkpointWeights(checkpoint, graph), new PlainLinearAlgebra());
  return evaluator.run(ids).slice();
}

/**
 * A property: whatever steps are folded at places of a model, its logits in float stay within `tolerance` of the largest. Terms of
 * sums, scaled by up to 2^4 either way, are rounded anew, in float32.
 */
export function foldsKeepLogits(
  t: Test,
  open: (folder: string) => Checkpoint & { close(): void },
  placesOf: (graph: Graph) => readonly { readonly name: string; readonly channels: number }[],
  tolerance: number,
): void {
  const checkpoint = open(t.testdir());
  t.teardown(() => checkpoint.close());
  const graph = buildGraph(checkpoint, 16);
  const places = placesOf(graph);
  const expected = logitsOf(checkpoint, graph);
  const size = expected.reduce((max, v) => Math.max(max, Math.abs(v)), 0);
  const anyFolds = fc.tuple(
    ...places.map(({ channels }) =>
      fc.int8Array({ min: -64, max: 64, minLength: channels, maxLength: channels }),
    ),
  );
  fc.assert(
    fc.property(anyFolds, (steps) => {
      const folds = new Map(places.map(({ name }, i) => [name, steps[i]!]));
      const found = logitsOf(new FoldedCheckpoint(checkpoint, graph, folds), graph);
      return expected.every((v, i) => Math.abs(v - found[i]!) < tolerance * size);
    }),
    { numRuns: 25 },
  );
}
