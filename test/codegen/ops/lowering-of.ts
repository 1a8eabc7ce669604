/** What an op of a test is lowered with. */
import { buildGraph } from '../../../codegen/graph/build.js';
import { scaleRows } from '../../../codegen/ops/linear.js';
import type { Lowering } from '../../../codegen/ops/op.js';
import type { QuantizedMatrix } from '../../../codegen/quantize/matrix.js';
import { shapeCheckpoint } from '../graph/shape-checkpoint.js';

/** Q formats of its inputs, and one for all ranges. */
export function loweringOf(parts: {
  formats: Record<string, number>;
  fraction?: number;
  vector?: Float32Array;
  matrix?: QuantizedMatrix;
  largestInput?: number;
}): Lowering {
  const formats = new Map(Object.entries(parts.formats));
  return {
    graph: buildGraph(shapeCheckpoint({}), 4),
    matrix: (_, gain = 1) => scaleRows(parts.matrix!, gain),
    vector: () => parts.vector!,
    fraction: () => parts.fraction!,
    largestInput: () => parts.largestInput ?? null,
    formatOf: (buffer) => formats.get(buffer)!,
    setFormat: (buffer, frac) => formats.set(buffer, frac),
  };
}
