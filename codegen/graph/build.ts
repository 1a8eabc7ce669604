/** Checkpoint to graph, by family. */
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import type { Graph } from './graph.js';
import { llamaGraph } from './llama.js';
import { verifyGraph } from './verify.js';

/** Builds and checks the graph of a checkpoint for a KV cache of `context` positions. */
export function buildGraph(checkpoint: Checkpoint, context: number): Graph {
  const graph = llamaGraph(checkpoint, context);
  verifyGraph(graph);
  return graph;
}
