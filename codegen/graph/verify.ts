/** The gate after graph building: shapes agree op by op, layers are alike, buffers are written before they are read. */
import { definitionOf } from '../ops/index.js';
import { allOps, type Graph, type Op } from './graph.js';

/** Throws if the graph breaks a rule that later stages rely on: a bug of a graph builder, not of a checkpoint. */
export function verifyGraph(graph: Graph): void {
  const written = new Set<string>();
  for (const op of allOps(graph)) {
    const definition = definitionOf(op.kind);
    const problem = definition.check(op, graph);
    if (problem !== null) throw new Error(`graph: ${op.kind} ${op.name}: ${problem}`);
    const early = definition.reads(op).find((name) => !written.has(name));
    if (early !== undefined)
      throw new Error(`graph: ${op.kind} ${op.name} reads ${early} before it is written`);
    for (const name of definition.writes(op)) written.add(name);
  }
  if (!written.has(graph.logits)) throw new Error(`graph: ${graph.logits} is never written`);
  const shape = layerShape(graph.layers[0]!);
  graph.layers.forEach((layer, i) => {
    if (layerShape(layer) !== shape) throw new Error(`graph: layer ${i} differs from layer 0 in its ops`);
  });
}

/** What must be equal in all layers, since they share one emitted function: kinds, names, buffers. */
function layerShape(ops: readonly Op[]): string {
  return ops
    .map((op) => {
      const { reads, writes } = definitionOf(op.kind);
      return `${op.kind} ${op.name} ${reads(op).join()}>${writes(op).join()}`;
    })
    .join('\n');
}
