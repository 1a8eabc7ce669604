/** Models with something folded into their weights. */
import type { ModelSource } from '../../checkpoint/model-source.js';
import type { Graph } from '../../graph/graph.js';
import { FoldedCheckpoint } from './folded-checkpoint.js';
import type { Folds } from './folds.js';

/** The source with these folds beside what it has; itself where there are none. `graph` is one of its checkpoint, for any context. */
export function foldedSource(source: ModelSource, graph: Graph, folds: Folds): ModelSource {
  if (folds.size === 0) return source;
  const all = new Map([...(source.folds ?? []), ...folds]);
  return { ...source, checkpoint: new FoldedCheckpoint(source.checkpoint, graph, folds), folds: all };
}
