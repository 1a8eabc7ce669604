/** Checkpoint to graph, by family. */
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import type { DecoderConfig } from '../checkpoint/config.js';
import { crystalGraph } from './crystal.js';
import { gpt2Graph } from './gpt2.js';
import type { Graph } from './graph.js';
import { llamaGraph } from './llama.js';
import { rotateInputs } from './rotate-inputs.js';
import { verifyGraph } from './verify.js';

type Family = DecoderConfig['family'];
type CheckpointOf<F extends Family> = Checkpoint<Extract<DecoderConfig, { family: F }>>;

/** Graph builders: of a checkpoint, for a KV cache of `context` positions. */
const builders: { readonly [F in Family]: (checkpoint: CheckpointOf<F>, context: number) => Graph } = {
  llama: llamaGraph,
  gpt2: gpt2Graph,
  crystal: crystalGraph,
};

/**
 * Builds and checks the graph of a checkpoint for a KV cache of `context` positions; with `rotate`, inputs of down projections are
 * turned where that can be done.
 */
export function buildGraph(checkpoint: Checkpoint, context: number, rotate = false): Graph {
  const builder = builders[checkpoint.config.family] as (checkpoint: Checkpoint, context: number) => Graph;
  const plain = builder(checkpoint, context);
  const graph = rotate ? rotateInputs(plain, checkpoint) : plain;
  verifyGraph(graph);
  return graph;
}
