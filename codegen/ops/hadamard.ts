/**
 * Hadamard transform of an activation in place, before it is quantized: it spreads values that stand out over many, so that an int8
 * scale fits all of them (Ashkboos et al. 2024, QuaRot, arXiv 2404.00456). The matrix behind it was multiplied by the inverse.
 */
import { roundShift } from '../arithmetic/fixed.js';
import { bufferOf } from '../graph/graph.js';
import type { OpDefinition } from './op.js';

export interface HadamardOp {
  readonly kind: 'hadamard';
  readonly name: string;
  readonly buffer: string;
  /** Values that are mixed with each other: 2^stages, which divides the width. At most MOST_STAGES. */
  readonly stages: number;
}

export interface HadamardStep {
  readonly kind: 'hadamard';
  readonly op: HadamardOp;
  readonly outFrac: number;
}

/** Stages of which no sum can overflow, whatever its inputs: values lose stages + 1 bits before the first. */
export const MOST_STAGES = 5;

/**
 * y = (H (x) I) x for every row of `width` values, H the Hadamard matrix of 2^stages rows: values that are width / 2^stages apart
 * are mixed. Its own inverse but for the factor 2^-stages.
 */
export function transformRows(values: Float32Array | Int32Array, width: number, stages: number): void {
  for (let first = 0; first < values.length; first += width) {
    for (let stage = 1; stage <= stages; stage++) {
      const apart = width / 2 ** stage;
      for (let at = first; at < first + width; at += 2 * apart) {
        for (let i = at; i < at + apart; i++) {
          const a = values[i]!;
          const b = values[i + apart]!;
          values[i] = a + b;
          values[i + apart] = a - b;
        }
      }
    }
  }
}

export const hadamard: OpDefinition<HadamardOp, HadamardStep> = {
  kind: 'hadamard',
  reads: (op) => [op.buffer],
  writes: (op) => [op.buffer],
  check({ buffer, stages }, graph) {
    const { width, kind } = bufferOf(graph, buffer);
    if (kind !== 'int32') return `${buffer} is int8`;
    if (stages < 1 || stages > MOST_STAGES) return `${stages} stages`;
    return width % 2 ** stages === 0 ? null : `${buffer} has ${width} values, no multiple of ${2 ** stages}`;
  },
  float({ buffer, stages }, state) {
    transformRows(state.buffer(buffer), bufferOf(state.graph, buffer).width, stages);
  },
  lower(op, lowering) {
    const outFrac = lowering.formatOf(op.buffer) - op.stages - 1;
    lowering.setFormat(op.buffer, outFrac);
    return { kind: 'hadamard', op, outFrac };
  },
  integer({ op }, state) {
    const values = state.buffer(op.buffer);
    for (let i = 0; i < values.length; i++) values[i] = roundShift(values[i]!, op.stages + 1);
    transformRows(values, values.length, op.stages);
  },
  constants: () => null,
  view: ({ op, outFrac }, graph) => ({
    buffer: op.buffer,
    stages: op.stages,
    size: 2 ** op.stages,
    width: bufferOf(graph, op.buffer).width,
    outFrac,
  }),
};
