/** A decoder as a list of typed ops over named buffers: plain data, the same for every target. */
import type { AddOp } from '../ops/add.js';
import type { AttentionOp } from '../ops/attention.js';
import type { EmbedOp } from '../ops/embed.js';
import type { GeluOp } from '../ops/gelu.js';
import type { HadamardOp } from '../ops/hadamard.js';
import type { LayerNormOp } from '../ops/layernorm.js';
import type { LinearOp } from '../ops/linear.js';
import type { NeuronsOp } from '../ops/neurons.js';
import type { QuantizeOp } from '../ops/quantize.js';
import type { ResidueOp } from '../ops/residue.js';
import type { RmsNormOp } from '../ops/rmsnorm.js';
import type { RopeOp } from '../ops/rope.js';
import type { SwigluOp } from '../ops/swiglu.js';

export type Op =
  | EmbedOp
  | RmsNormOp
  | LayerNormOp
  | QuantizeOp
  | ResidueOp
  | LinearOp
  | RopeOp
  | AttentionOp
  | SwigluOp
  | GeluOp
  | HadamardOp
  | NeuronsOp
  | AddOp;

/** One token's worth of an activation. */
export interface BufferInfo {
  readonly name: string;
  /** Values a token. */
  readonly width: number;
  /** int32 in a calibrated Q format, or int8 with one scale a token. */
  readonly kind: 'int32' | 'int8';
}

/** A weight matrix: what a plan gives a format. */
export interface MatrixInfo {
  /** Name in plans and reports, such as layers.0.attn.q. */
  readonly name: string;
  /** Further names that plan rules may use, such as head for a tied embedding. */
  readonly aliases: readonly string[];
  /** Tensor of the checkpoint, rows x columns. */
  readonly tensor: string;
  readonly rows: number;
  readonly columns: number;
  /** Stages of the Hadamard transform of its input, which its rows have undergone as well (rotate-inputs.ts). */
  readonly rotationStages?: number;
}

/** A vector of parameters that is not quantized by the plan: norm gains, biases. */
export interface VectorInfo {
  readonly name: string;
  readonly tensor: string;
  readonly length: number;
  /** int32 values that the blob holds of it, where not one for each. */
  readonly stored?: number;
}

export interface RopeInfo {
  readonly headDim: number;
  /** Radians a position, for each of the headDim / 2 pairs, scaling applied. */
  readonly frequencies: Float64Array;
}

/** Values of one position of the KV cache, keys and values each: kvHeads x headDim. */
export interface CacheInfo {
  readonly kvHeads: number;
  readonly headDim: number;
}

export interface Graph {
  readonly family: string;
  readonly vocabSize: number;
  /** Positions the KV cache holds. */
  readonly context: number;
  readonly layerCount: number;
  readonly buffers: ReadonlyMap<string, BufferInfo>;
  readonly matrices: readonly MatrixInfo[];
  readonly vectors: readonly VectorInfo[];
  /** null for families without rotary positions. */
  readonly rope: RopeInfo | null;
  /** Both 0 for models without attention. */
  readonly cache: CacheInfo;
  readonly prologue: readonly Op[];
  /** One list an decoder layer. All layers have the same ops with the same shapes; weights and Q formats differ. */
  readonly layers: readonly (readonly Op[])[];
  readonly epilogue: readonly Op[];
  /** Buffer that holds the logits after the epilogue. */
  readonly logits: string;
}

/** Every op in the order of execution. */
export function* allOps(graph: Graph): Generator<Op> {
  yield* graph.prologue;
  for (const layer of graph.layers) yield* layer;
  yield* graph.epilogue;
}

/** Looks a buffer up; a name that is not there is a bug in the graph builder. */
export function bufferOf(graph: Graph, name: string): BufferInfo {
  const buffer = graph.buffers.get(name);
  if (buffer === undefined) throw new Error(`graph has no buffer ${name}`);
  return buffer;
}
