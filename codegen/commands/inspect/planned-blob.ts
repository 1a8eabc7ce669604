/** How large the blob of a model would be under a plan: exact, from shapes alone. */
import { parameterCount } from '../../bundle/compose-manifest.js';
import type { Graph } from '../../graph/graph.js';
import { layOutBlob } from '../../layout/blob.js';
import type { KernelSet } from '../../layout/kernel-set.js';
import { formats } from '../../quantize/format.js';
import { type Plan, resolvePlan } from '../../quantize/plan.js';

export interface PlannedBlob {
  readonly plan: string;
  readonly kernelSet: string;
  /** Sections of matrices, norm gains and biases. */
  readonly weightsBytes: number;
  readonly bitsPerWeight: number;
  readonly blobBytes: number;
}

/** Bytes of a norm gain or bias: int32. */
const vectorElementBytes = 4;
/** Bytes of a cosine or sine of the rope table: int16. */
const ropeElementBytes = 2;

/**
 * `tokenizerBytes` is the size of the compiled tokenizer, 0 for none. Agrees with blobSections of
 * codegen/layout/sections.ts.
 */
export function plannedBlob(
  graph: Graph,
  plan: Plan,
  kernels: KernelSet,
  tokenizerBytes: number,
): PlannedBlob {
  const chosen = resolvePlan(plan, graph.matrices, plan.name);
  const weights = [
    ...graph.matrices.map(({ name, rows, columns }) => {
      const format = chosen.get(name)!;
      const layout = kernels.layoutFor(format);
      const bytes = layout.sectionBytes(format, rows, columns);
      return { name, format: formats[format].code, layout: layout.code, rows, cols: columns, bytes };
    }),
    ...graph.vectors.map(({ name, length, stored = length }) =>
      table(name, stored, stored * vectorElementBytes),
    ),
  ];
  const { rope, context } = graph;
  const tables = [
    ...(rope === null ? [] : [table('rope', rope.headDim, context * rope.headDim * ropeElementBytes)]),
    ...(tokenizerBytes === 0 ? [] : [table('tokenizer', tokenizerBytes, tokenizerBytes)]),
  ];
  const weightsBytes = weights.reduce((sum, { bytes }) => sum + bytes, 0);
  return {
    plan: plan.name,
    kernelSet: kernels.name,
    weightsBytes,
    bitsPerWeight: Number(((8 * weightsBytes) / parameterCount(graph)).toFixed(4)),
    blobBytes: layOutBlob([...weights, ...tables]).blobBytes,
  };
}

function table(name: string, cols: number, bytes: number) {
  return { name, format: 0, layout: 0, rows: 1, cols, bytes };
}
