/** What every op file provides: shape check, float meaning, integer meaning and the constants of its emitted C. */
import type { TokenScale } from '../arithmetic/activation.js';
import type { Graph } from '../graph/graph.js';
import type { QuantizedMatrix } from '../quantize/matrix.js';

/** State of the float evaluator while `tokens` tokens from `position` on go through the graph. */
export interface FloatState {
  readonly graph: Graph;
  readonly tokens: number;
  readonly position: number;
  readonly ids: readonly number[];
  /** float32[tokens x width] of a buffer. */
  buffer(name: string): Float32Array;
  /** y[tokens x rows] = x[tokens x columns] times the transposed matrix. */
  multiply(matrix: string, x: Float32Array, y: Float32Array): void;
  /** y[tokens x rows] = x[tokens x columns] times the transposed w[rows x columns]. */
  multiplyBy(
    w: Float32Array,
    x: Float32Array,
    y: Float32Array,
    tokens: number,
    rows: number,
    columns: number,
  ): void;
  /** One row of a matrix as float32. */
  row(matrix: string, row: number): Float32Array;
  vector(name: string): Float32Array;
  /** float32[context x kvHeads x headDim] of a layer. */
  readonly cache: readonly { readonly keys: Float32Array; readonly values: Float32Array }[];
  /** Notes the largest magnitude that a range takes. */
  observe(range: string, values: Float32Array): void;
}

/** An int8 activation: one token's integers and their scale. */
export interface QuantizedToken {
  readonly integers: Int8Array;
  scale: TokenScale;
}

/** State of the integer evaluator while one token at `position` goes through the graph. */
export interface IntegerState {
  readonly graph: Graph;
  readonly position: number;
  readonly id: number;
  /** int32[width] of a buffer. */
  buffer(name: string): Int32Array;
  quantized(name: string): QuantizedToken;
  /** int16[context x headDim]: cosines of the headDim / 2 pairs, then their sines, in Q14. */
  readonly rope: Int16Array;
  readonly cache: readonly IntegerCache[];
}

/** The KV cache of a layer: int8 vectors of a position and head, and the largest magnitude each was scaled by. */
export interface IntegerCache {
  /** int8[context x kvHeads x headDim]. */
  readonly keys: Int8Array;
  readonly values: Int8Array;
  /** int32[context x kvHeads], in the Q format of k and v. */
  readonly keyMax: Int32Array;
  readonly valueMax: Int32Array;
}

/** What lowering an op to integers may ask for. Buffers carry their Q format along as ops are lowered in order. */
export interface Lowering {
  readonly graph: Graph;
  /** A matrix with the gain of the linear ops that use it in its row scales; `gain` is what the op that asks takes it for. */
  matrix(name: string, gain?: number): QuantizedMatrix;
  vector(name: string): Float32Array;
  /** Bits after the point that the calibration gave a range. */
  fraction(range: string): number;
  /** The largest magnitude that the calibration fixed for the input of a quantize op; null: found at run time, token by token. */
  largestInput(name: string): number | null;
  /** The Q format that a buffer holds now. */
  formatOf(buffer: string): number;
  setFormat(buffer: string, frac: number): void;
}

/** A constant of the emitted layer table: a C struct type and its field initialisers in order. */
export interface ConstantView {
  readonly type: string;
  readonly fields: readonly { readonly name: string; readonly value: string }[];
  /** What a reader of the table should know: formats, shapes. */
  readonly note: string;
}

/** What an op's template templates/ops/<kind>.c.hbs is given, beside `constants`, the C name of the op's constants. */
export type OpView = Readonly<Record<string, string | number | boolean>>;

/** Where the data of a step lies in the blob. */
export interface BlobPlaces {
  /** C expression of the offset of a matrix, vector or table. */
  offset(name: string): string;
}

export interface OpDefinition<O, S> {
  readonly kind: string;
  /** Buffers read and written, for shape checks, the memory plan and tracing. */
  reads(op: O): readonly string[];
  writes(op: O): readonly string[];
  /** What is wrong with the op's shapes, or null. */
  check(op: O, graph: Graph): string | null;
  float(op: O, state: FloatState): void;
  lower(op: O, lowering: Lowering): S;
  integer(step: S, state: IntegerState): void;
  /** Vectors of the graph that the step uses, as the blob holds them. */
  vectors?(step: S): readonly { readonly name: string; readonly values: Int32Array }[];
  /** The constants that the emitted C needs for a step, or null. */
  constants(step: S, places: BlobPlaces): ConstantView | null;
  /** What the op's template says of it. */
  view(step: S, graph: Graph, places: BlobPlaces): OpView;
}
