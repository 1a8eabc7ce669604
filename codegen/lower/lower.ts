/** Lowering: graph, quantized matrices and calibrated ranges become steps of pure integers. */

import { inputRange } from '../calibrate/input-ranges.js';
import type { Graph, Op } from '../graph/graph.js';
import { definitionOf, type Step } from '../ops/index.js';
import type { Lowering } from '../ops/op.js';
import { ropeTable } from '../ops/rope.js';
import type { QuantizedMatrix } from '../quantize/matrix.js';
import { gainsOf } from './fold-gains.js';

/** A model in integers: what the integer evaluator runs and what is emitted. */
export interface IntegerModel {
  readonly graph: Graph;
  readonly prologue: readonly Step[];
  readonly layers: readonly (readonly Step[])[];
  readonly epilogue: readonly Step[];
  /** Matrices with the multipliers that linear ops use, by name, in the order of the graph. */
  readonly matrices: ReadonlyMap<string, QuantizedMatrix>;
  /** int16[context x headDim]: cosines, then sines, of each position in Q14; null without rotary positions. */
  readonly rope: Int16Array | null;
  /** Bits after the point of the logits. */
  readonly logitsFrac: number;
}

export interface LoweringInput {
  readonly graph: Graph;
  /** With the gains of their ops in their row scales (foldGains). */
  readonly matrices: ReadonlyMap<string, QuantizedMatrix>;
  readonly vector: (name: string) => Float32Array;
  /** Largest magnitude that calibration saw, by range; with fixed scales also of what quantize ops read (inputRange). */
  readonly ranges: ReadonlyMap<string, number>;
}

/** Bits kept free above the calibrated magnitude: inputs that calibration never saw may be 32 times as large. */
const HEADROOM_BITS = 5;

/** Bits after the point for a range: the calibrated magnitude leaves HEADROOM_BITS of the 31 unused. In [0, 30]. */
export function fractionBits(magnitude: number): number {
  if (magnitude === 0) return 30;
  const whole = Math.floor(Math.log2(magnitude)) + 1;
  return Math.max(0, Math.min(30, 31 - HEADROOM_BITS - whole));
}

export function lower(input: LoweringInput): IntegerModel {
  const { graph } = input;
  const used = new Map<string, QuantizedMatrix>();
  const formats = new Map<string, number>();
  const gains = gainsOf(graph);
  let layer = -1;
  const lowering: Lowering = {
    graph,
    matrix: (name, gain = 1) => {
      if ((gains.get(name) ?? 1) !== gain) throw new Error(`${name} is used with two different gains`);
      return required(input.matrices, name);
    },
    vector: input.vector,
    fraction: (range) => fractionBits(required(input.ranges, range)),
    largestInput: (name) => input.ranges.get(inputRange(layer, name)) ?? null,
    formatOf: (buffer) => required(formats, buffer),
    setFormat: (buffer, frac) => formats.set(buffer, frac),
  };
  const lowerOp = (op: Op): Step => {
    const step = definitionOf(op.kind).lower(op, lowering);
    if ('matrix' in step) used.set(step.matrix.name, step.matrix);
    return step;
  };
  const prologue = graph.prologue.map(lowerOp);
  const layers = graph.layers.map((ops, index) => {
    layer = index;
    return ops.map(lowerOp);
  });
  layer = -1;
  const epilogue = graph.epilogue.map(lowerOp);
  const logitsFrac = required(formats, graph.logits);
  const rope = graph.rope === null ? null : ropeTable(graph.context, graph.rope);
  return { graph, prologue, layers, epilogue, matrices: used, rope, logitsFrac };
}

function required<T>(map: ReadonlyMap<string, T>, name: string): T {
  const value = map.get(name);
  if (value === undefined) throw new Error(`lowering: nothing known of ${name}`);
  return value;
}
