/** Where queries and keys can be turned and scaled without a change of what the model computes: before rope, pair by pair. */
import { allOps, type Graph, type Op } from '../../graph/graph.js';
import type { AttentionOp } from '../../ops/attention.js';
import { definitionOf } from '../../ops/index.js';

/**
 * The query and key projections of a layer. Rope turns the pairs (i, i + headDim / 2) of every head by angles of their own, and
 * so does not mind when a pair is turned by another angle and scaled before: q . k stays what it is if keys are multiplied by
 * what queries are divided by.
 */
export interface RotaryPlace {
  /** The matrix that makes the keys. */
  readonly name: string;
  /** Values of all keys of a token: kvHeads x headDim. */
  readonly channels: number;
  readonly headDim: number;
  /** Query heads that share a key head. */
  readonly shared: number;
  /** Matrix and, where there is one, bias that make the keys, and those that make the queries. */
  readonly keys: readonly string[];
  readonly queries: readonly string[];
  /** Buffers that hold them for the attention. */
  readonly keyBuffer: string;
  readonly queryBuffer: string;
  readonly layer: number;
}

/**
 * The places of a graph, layer by layer. There is none without rope, nor where a norm of heads stands before it, whose gains differ
 * within a pair, or anything else reads these values or uses their tensors.
 */
export function rotaryPlaces(graph: Graph): RotaryPlace[] {
  return graph.layers.flatMap((ops, layer) => {
    const attention = ops.find((op) => op.kind === 'attention');
    if (attention?.kind !== 'attention') return [];
    const keys = projectionBehindRope(graph, ops, attention, attention.key);
    const queries = projectionBehindRope(graph, ops, attention, attention.query);
    if (keys === null || queries === null) return [];
    const { headDim, heads, kvHeads, key: keyBuffer, query: queryBuffer } = attention;
    const shared = heads / kvHeads;
    const channels = kvHeads * headDim;
    return [{ name: keys[0]!, channels, headDim, shared, keys, queries, keyBuffer, queryBuffer, layer }];
  });
}

/** Matrix and bias of the linear op that fills a buffer which rope turns and the attention alone reads; else null. */
function projectionBehindRope(
  graph: Graph,
  ops: readonly Op[],
  attention: AttentionOp,
  buffer: string,
): string[] | null {
  const [linear, rope, reader, ...others] = ops.filter((op) => {
    const { reads, writes } = definitionOf(op.kind);
    return reads(op).includes(buffer) || writes(op).includes(buffer);
  });
  if (linear?.kind !== 'linear' || rope?.kind !== 'rope' || reader !== attention || others.length > 0)
    return null;
  const names = linear.bias === null ? [linear.matrix] : [linear.matrix, linear.bias];
  return names.every((name) => isUsedOnce(graph, name)) ? names : null;
}

/** Whether one op names a parameter, and no other parameter is of its tensor. */
function isUsedOnce(graph: Graph, name: string): boolean {
  const parameters = [...graph.matrices, ...graph.vectors];
  const { tensor } = parameters.find((one) => one.name === name)!;
  let uses = 0;
  for (const op of allOps(graph)) if (Object.values(op).includes(name)) uses++;
  return uses === 1 && parameters.filter((one) => one.tensor === tensor).length === 1;
}
