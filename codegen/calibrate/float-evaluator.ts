/** The float meaning of a graph: runs tokens through its ops with float32 activations. */
import { allOps, bufferOf, type Graph, type Op } from '../graph/graph.js';
import { definitionOf } from '../ops/index.js';
import type { FloatState } from '../ops/op.js';
import { inputRange } from './input-ranges.js';
import type { LinearAlgebra } from './linear-algebra.js';

/** Where the evaluator gets its parameters: the checkpoint, or quantized weights as real numbers. */
export interface FloatWeights {
  /**
   * float32[count x columns] from row `first` on. `kept` promises that the same request gives the same array object,
   * unchanged.
   */
  block(matrix: string, first: number, count: number): { readonly w: Float32Array; readonly kept: boolean };
  /** One row as float32. */
  row(matrix: string, row: number): Float32Array;
  vector(name: string): Float32Array;
}

export interface FloatEvaluatorOptions {
  /** Called with the largest magnitude that an op's output takes, by range name. */
  readonly observe?: (range: string, magnitude: number) => void;
  /** Called with the inputs float32[tokens x columns] of a matrix before they are multiplied. */
  readonly input?: (matrix: string, x: Float32Array, tokens: number) => void;
  /** Called with what a quantize op reads, by its name among ranges (inputRange). */
  readonly quantized?: (range: string, values: Float32Array) => void;
  /** Called after each op with its outputs, for comparison op by op. */
  readonly trace?: (op: Op, layer: number, index: number, values: Float32Array) => void;
}

/** Rows of a matrix that are multiplied at a time; bounds what streaming weights hold. */
const BLOCK_ROWS = 4096;

export class FloatEvaluator {
  readonly #buffers = new Map<string, Float32Array>();
  readonly #cache: { keys: Float32Array; values: Float32Array }[];
  #position = 0;

  constructor(
    readonly graph: Graph,
    readonly weights: FloatWeights,
    readonly algebra: LinearAlgebra,
    readonly options: FloatEvaluatorOptions = {},
  ) {
    const size = graph.context * graph.cache.kvHeads * graph.cache.headDim;
    this.#cache = graph.layers.map(() => ({ keys: new Float32Array(size), values: new Float32Array(size) }));
  }

  /** Forgets all positions. */
  reset(): void {
    this.#position = 0;
  }

  /** Logits float32[ids.length x vocabSize] of the next positions; the array is reused by the next call. */
  run(ids: readonly number[]): Float32Array {
    const { graph } = this;
    this.prologue(ids);
    for (const layer of graph.layers.keys()) this.layer(layer, ids);
    this.epilogue(ids);
    this.#position += ids.length;
    return this.buffer(graph.logits, ids.length);
  }

  /**
   * The three parts of `run` on their own, for evaluation layer by layer (layer-stream.ts), of the last two also some ops alone;
   * these leave the position where it is.
   */
  prologue(ids: readonly number[]): void {
    if (this.#position + ids.length > this.graph.context) throw new RangeError('beyond the context');
    this.#section(this.graph.prologue, this.#stateFor(ids), -1, 0);
  }

  layer(layer: number, ids: readonly number[], first = 0, end?: number): void {
    this.#section(this.graph.layers[layer]!.slice(first, end), this.#stateFor(ids), layer, first);
  }

  epilogue(ids: readonly number[], first = 0, end?: number): void {
    const ops = this.graph.epilogue.slice(first, end);
    this.#section(ops, this.#stateFor(ids), -1, this.graph.prologue.length + first);
  }

  /** Runs the ops of the prologue, a layer or the epilogue; indices start at firstIndex. */
  #section(ops: readonly Op[], state: FloatState, layer: number, firstIndex: number): void {
    for (const [i, op] of ops.entries()) {
      const definition = definitionOf(op.kind);
      definition.float(op, state);
      if (op.kind === 'quantize')
        this.options.quantized?.(inputRange(layer, op.name), state.buffer(op.input));
      if (this.options.trace === undefined) continue;
      for (const name of definition.writes(op)) {
        if (bufferOf(this.graph, name).kind === 'int32')
          this.options.trace(op, layer, firstIndex + i, state.buffer(name));
      }
    }
  }

  #stateFor(ids: readonly number[]): FloatState {
    const { graph, weights, algebra } = this;
    const tokens = ids.length;
    return {
      graph,
      tokens,
      ids,
      position: this.#position,
      cache: this.#cache,
      buffer: (name) => this.buffer(name, tokens),
      row: (matrix, row) => weights.row(matrix, row),
      vector: (name) => weights.vector(name),
      multiply: (matrix, x, y) => this.#multiply(matrix, x, y, tokens),
      multiplyBy: (w, x, y, count, rows, columns) => algebra.matmul(y, x, w, count, rows, columns),
      observe: (range, values) => {
        if (this.options.observe === undefined) return;
        let max = 0;
        for (const v of values) max = Math.max(max, Math.abs(v));
        this.options.observe(range, max);
      },
    };
  }

  /** float32[tokens x width] of a buffer; the same array until another number of tokens is asked for. */
  buffer(name: string, tokens: number): Float32Array {
    const length = tokens * bufferOf(this.graph, name).width;
    const held = this.#buffers.get(name);
    if (held !== undefined && held.length === length) return held;
    const fresh = new Float32Array(length);
    this.#buffers.set(name, fresh);
    return fresh;
  }

  /** y = x times the transposed matrix, by blocks of rows so that streamed weights stay bounded. */
  #multiply(name: string, x: Float32Array, y: Float32Array, tokens: number): void {
    const matrix = this.graph.matrices.find((m) => m.name === name)!;
    this.options.input?.(name, x, tokens);
    const block = (first: number, count: number) => {
      const { w, kept } = this.weights.block(name, first, count);
      if (kept) this.algebra.keep(w);
      return w;
    };
    if (matrix.rows <= BLOCK_ROWS) {
      this.algebra.matmul(y, x, block(0, matrix.rows), tokens, matrix.rows, matrix.columns);
      return;
    }
    for (let first = 0; first < matrix.rows; first += BLOCK_ROWS) {
      const count = Math.min(BLOCK_ROWS, matrix.rows - first);
      const part = new Float32Array(tokens * count);
      this.algebra.matmul(part, x, block(first, count), tokens, count, matrix.columns);
      for (let t = 0; t < tokens; t++)
        y.set(part.subarray(t * count, (t + 1) * count), t * matrix.rows + first);
    }
  }
}

/** Ranges that a graph's ops name, in order. */
export function rangeNames(graph: Graph): string[] {
  const names = new Set<string>();
  for (const op of allOps(graph)) if ('range' in op) names.add(op.range);
  return [...names];
}
