import type { Graph } from '../../../codegen/graph/graph.js';
import type { IntegerCache, IntegerState, QuantizedToken } from '../../../codegen/ops/op.js';

/** An empty graph: integer evaluations of single ops look nothing up in it. */
const noGraph: Graph = {
  family: 'none',
  vocabSize: 1,
  context: 1,
  layerCount: 0,
  buffers: new Map(),
  matrices: [],
  vectors: [],
  rope: { headDim: 2, frequencies: new Float64Array(1) },
  cache: { kvHeads: 1, headDim: 2 },
  prologue: [],
  layers: [],
  epilogue: [],
  logits: '',
};

export interface StateParts {
  readonly buffers: Readonly<Record<string, Int32Array>>;
  readonly quantized?: Readonly<Record<string, QuantizedToken>>;
  readonly position?: number;
  readonly id?: number;
  readonly rope?: Int16Array;
  readonly cache?: IntegerCache;
}

/** The state of an integer evaluator over arrays given by name, to run one op on. */
export function integerState(parts: StateParts): IntegerState {
  return {
    graph: noGraph,
    position: parts.position ?? 0,
    id: parts.id ?? 0,
    rope: parts.rope ?? new Int16Array(),
    cache: parts.cache === undefined ? [] : [parts.cache],
    buffer: (name) => parts.buffers[name]!,
    quantized: (name) => parts.quantized![name]!,
  };
}

/** An empty KV cache of a layer. */
export function emptyCache(context: number, kvHeads: number, headDim: number): IntegerCache {
  const slots = context * kvHeads;
  return {
    keys: new Int8Array(slots * headDim),
    values: new Int8Array(slots * headDim),
    keyMax: new Int32Array(slots),
    valueMax: new Int32Array(slots),
  };
}
