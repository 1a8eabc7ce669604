/** The arena: where each activation buffer, the KV cache and the state lie. Buffers whose lives do not meet share memory. */
import type { BufferInfo, Graph, Op } from '../graph/graph.js';
import { definitionOf } from '../ops/index.js';
import { alignUp } from './blob-header.js';
import type { KernelSet } from './kernel-set.js';

export interface ArenaPlace {
  readonly name: string;
  /** Bytes from the start of the arena; a multiple of 64. */
  readonly offset: number;
  readonly bytes: number;
  /** Ops, counted through prologue, one layer and epilogue, between which the buffer is alive. */
  readonly live: readonly [first: number, last: number];
  readonly what: string;
}

export interface MemoryPlan {
  /** Tokens that prefill takes at a time. */
  readonly batch: number;
  /** State, then KV cache, then activations. */
  readonly state: ArenaPlace;
  readonly cache: readonly ArenaPlace[];
  readonly activations: readonly ArenaPlace[];
  readonly stateBytes: number;
  readonly cacheBytes: number;
  readonly activationBytes: number;
  readonly arenaBytes: number;
  /** Positions that cache and scores have memory for: the context in whole blocks of the kernel set. */
  readonly cachePositions: number;
  /** Bytes of the keys of a head in a layer, and int32 of work memory for a score: the emitted C asserts both. */
  readonly headKeyBytes: number;
  readonly scoreInts: number;
}

/** Bytes reserved for struct em_model and an opened tokenizer; the emitted C asserts that they suffice. */
const STATE_BYTES = 1024;

/** Bytes of a buffer for a batch: int32 rows, or int8 rows with what the kernels prepare of them, and scales. */
export function bufferBytes(buffer: BufferInfo, batch: number, kernels: KernelSet): number {
  if (buffer.kind === 'int32') return batch * buffer.width * 4;
  const { values, prepared, scale } = int8Parts(buffer.width, batch, kernels.preparedBytes(buffer.width));
  return values + prepared + scale;
}

/** Parts of an int8 buffer, each 64-byte aligned: EM_Q8_STRIDE, EM_PREPARED_BYTES and struct em_token_scale in C. */
export function int8Parts(width: number, batch: number, preparedBytes: number) {
  return {
    values: batch * alignUp(width),
    prepared: batch * preparedBytes,
    scale: alignUp(batch * 8),
  };
}

interface Lifetime {
  readonly buffer: BufferInfo;
  first: number;
  last: number;
}

/** First and last op that touch each buffer. What a layer reads before writing it lives through all layers. */
function lifetimes(graph: Graph): Lifetime[] {
  const layer = graph.layers[0]!;
  const ops: readonly Op[] = [...graph.prologue, ...layer, ...graph.epilogue];
  const layerStart = graph.prologue.length;
  const layerEnd = layerStart + layer.length - 1;
  const lives = new Map<string, Lifetime>();
  ops.forEach((op, at) => {
    const { reads, writes } = definitionOf(op.kind);
    for (const name of [...reads(op), ...writes(op)]) {
      const life = lives.get(name) ?? { buffer: graph.buffers.get(name)!, first: at, last: at };
      life.last = at;
      lives.set(name, life);
    }
  });
  for (const life of lives.values()) {
    // Written before the layers and read in them: every layer needs it, so it must outlive the last.
    if (life.first < layerStart && life.last >= layerStart) life.last = Math.max(life.last, layerEnd);
    // The epilogue runs again for every token whose logits are wanted, so what it reads from before must outlive it.
    if (life.first <= layerEnd && life.last > layerEnd) life.last = ops.length - 1;
  }
  return [...lives.values()];
}

/** Places buffers largest first at the lowest offset where nothing alive at the same time lies. */
function placeActivations(graph: Graph, batch: number, kernels: KernelSet, base: number): ArenaPlace[] {
  const placed: ArenaPlace[] = [];
  const bySize = lifetimes(graph)
    .map((life) => ({
      ...life,
      bytes: alignUp(bufferBytes(life.buffer, bufferBatch(graph, life.buffer, batch), kernels)),
    }))
    .sort((a, b) => b.bytes - a.bytes || a.first - b.first || (a.buffer.name < b.buffer.name ? -1 : 1));
  for (const { buffer, first, last, bytes } of bySize) {
    const others = placed
      .filter((p) => p.live[0] <= last && first <= p.live[1])
      .sort((a, b) => a.offset - b.offset);
    let offset = base;
    for (const other of others) {
      if (offset + bytes <= other.offset) break;
      offset = Math.max(offset, other.offset + other.bytes);
    }
    const shape = buffer.name === graph.logits ? `[${buffer.width}]` : `[tokens][${buffer.width}]`;
    const what = buffer.kind === 'int32' ? `int32${shape}` : `int8${shape}, scales`;
    placed.push({ name: buffer.name, offset, bytes, live: [first, last], what });
  }
  return placed.sort((a, b) => a.offset - b.offset || a.live[0] - b.live[0]);
}

/** The logits are computed for one token at a time. */
function bufferBatch(graph: Graph, buffer: BufferInfo, batch: number): number {
  return buffer.name === graph.logits ? 1 : batch;
}

export function planMemory(graph: Graph, batch: number, kernels: KernelSet): MemoryPlan {
  const always: [number, number] = [0, Number.MAX_SAFE_INTEGER];
  const place = (name: string, offset: number, bytes: number, what: string): ArenaPlace => ({
    name,
    offset,
    bytes,
    live: always,
    what,
  });
  const state = place('state', 0, STATE_BYTES, 'struct em_model');
  let end = STATE_BYTES;
  const append = (name: string, bytes: number, what: string): ArenaPlace => {
    const at = place(name, end, alignUp(bytes), what);
    end += at.bytes;
    return at;
  };
  const { kvHeads, headDim } = graph.cache;
  const cachePositions = Math.ceil(graph.context / kernels.cacheBlock) * kernels.cacheBlock;
  const slots = graph.layerCount * kvHeads * cachePositions;
  const shape = `[${graph.layerCount}][${kvHeads}][${cachePositions}]`;
  const hasAttention = slots > 0;
  const { cacheBlock, scoreInts } = kernels;
  const headKeyBytes = (cachePositions / cacheBlock) * kernels.keyBlockBytes(headDim);
  const keyBytes = graph.layerCount * kvHeads * headKeyBytes;
  const cache = !hasAttention
    ? []
    : [
        append(
          'keys',
          keyBytes,
          keyBytes === slots * headDim ? `int8${shape}[${headDim}]` : `${shape}, in words`,
        ),
        append('values', slots * headDim, `int8${shape}[${headDim}]`),
        append('key_max', slots * 4, `int32${shape}`),
        append('value_max', slots * 4, `int32${shape}`),
      ];
  const cacheBytes = end - STATE_BYTES;
  const heads = Math.max(...graph.layers[0]!.map((op) => (op.kind === 'attention' ? op.heads : 1)));
  const scores = !hasAttention
    ? []
    : [
        append(
          'scores',
          heads * cachePositions * scoreInts * 4,
          `int32[${heads}][${scoreInts * cachePositions}], work memory of attention`,
        ),
        append(
          'weights',
          heads * cachePositions * 4,
          `int32[${heads}][${cachePositions}], work memory of attention`,
        ),
      ];
  const work = [
    ...scores,
    append('order', graph.vocabSize * 4, `int32[${graph.vocabSize}], work memory of sampling`),
  ];
  const buffers = placeActivations(graph, batch, kernels, end);
  const arenaBytes = Math.max(end, ...buffers.map((p) => p.offset + p.bytes));
  return {
    batch,
    state,
    cache,
    activations: [...work, ...buffers],
    stateBytes: STATE_BYTES,
    cacheBytes,
    activationBytes: arenaBytes - STATE_BYTES - cacheBytes,
    arenaBytes,
    cachePositions,
    headKeyBytes,
    scoreInts,
  };
}
