/** Rotary position embedding in place, on pairs (i, i + headDim/2) of every head (Su et al. 2021, arXiv 2104.09864). */
import { rotate } from '../arithmetic/functions.js';
import { ROPE_FRACTION } from '../arithmetic/tables.js';
import { bufferOf, type RopeInfo } from '../graph/graph.js';
import type { OpDefinition } from './op.js';

export interface RopeOp {
  readonly kind: 'rope';
  readonly name: string;
  readonly buffer: string;
  readonly heads: number;
  readonly headDim: number;
}

export interface RopeStep {
  readonly kind: 'rope';
  readonly op: RopeOp;
}

/** int16[context x headDim]: for each position the cosines of the pairs, then their sines, in Q14. */
export function ropeTable(context: number, { frequencies, headDim }: RopeInfo): Int16Array {
  const half = headDim / 2;
  const table = new Int16Array(context * headDim);
  for (let position = 0; position < context; position++) {
    for (let i = 0; i < half; i++) {
      const angle = position * frequencies[i]!;
      table[position * headDim + i] = Math.round(Math.cos(angle) * 2 ** ROPE_FRACTION);
      table[position * headDim + half + i] = Math.round(Math.sin(angle) * 2 ** ROPE_FRACTION);
    }
  }
  return table;
}

export const rope: OpDefinition<RopeOp, RopeStep> = {
  kind: 'rope',
  reads: (op) => [op.buffer],
  writes: (op) => [op.buffer],
  check(op, graph) {
    if (op.headDim !== graph.rope?.headDim || op.headDim % 2 !== 0)
      return `head of ${op.headDim} values, rope of ${graph.rope?.headDim}`;
    const { width } = bufferOf(graph, op.buffer);
    return width === op.heads * op.headDim
      ? null
      : `${op.buffer} has ${width} values, not ${op.heads} x ${op.headDim}`;
  },
  float(op, state) {
    const values = state.buffer(op.buffer);
    const half = op.headDim / 2;
    const { frequencies } = state.graph.rope!;
    for (let token = 0; token < state.tokens; token++) {
      for (let i = 0; i < half; i++) {
        const angle = (state.position + token) * frequencies[i]!;
        const cos = Math.cos(angle);
        const sin = Math.sin(angle);
        for (let head = 0; head < op.heads; head++) {
          const at = (token * op.heads + head) * op.headDim + i;
          const a = values[at]!;
          const b = values[at + half]!;
          values[at] = a * cos - b * sin;
          values[at + half] = a * sin + b * cos;
        }
      }
    }
  },
  lower: (op) => ({ kind: 'rope', op }),
  integer(step, state) {
    const { heads, headDim, buffer } = step.op;
    const values = state.buffer(buffer);
    const half = headDim / 2;
    const row = state.position * headDim;
    for (let head = 0; head < heads; head++) {
      for (let i = 0; i < half; i++) {
        const at = head * headDim + i;
        const pair = rotate(
          values[at]!,
          values[at + half]!,
          state.rope[row + i]!,
          state.rope[row + half + i]!,
        );
        values[at] = pair[0];
        values[at + half] = pair[1];
      }
    }
  },
  constants: () => null,
  view: ({ op }) => ({ buffer: op.buffer, heads: op.heads, headDim: op.headDim }),
};
