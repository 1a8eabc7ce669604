/** Residual addition: output += input, saturating. */
import { saturate } from '../arithmetic/fixed.js';
import { bufferOf } from '../graph/graph.js';
import type { OpDefinition } from './op.js';

export interface AddOp {
  readonly kind: 'add';
  readonly name: string;
  readonly input: string;
  /** Read and written. */
  readonly output: string;
  readonly range: string;
}

export interface AddStep {
  readonly kind: 'add';
  readonly op: AddOp;
}

export const add: OpDefinition<AddOp, AddStep> = {
  kind: 'add',
  reads: (op) => [op.input, op.output],
  writes: (op) => [op.output],
  check: (op, graph) =>
    bufferOf(graph, op.input).width === bufferOf(graph, op.output).width
      ? null
      : `${op.input} and ${op.output} differ in width`,
  float(op, state) {
    const input = state.buffer(op.input);
    const out = state.buffer(op.output);
    for (let i = 0; i < out.length; i++) out[i] = out[i]! + input[i]!;
    state.observe(op.range, out);
  },
  lower(op, lowering) {
    const [from, to] = [lowering.formatOf(op.input), lowering.formatOf(op.output)];
    if (from !== to) throw new Error(`${op.name}: adding Q${from} to Q${to}`);
    return { kind: 'add', op };
  },
  integer(step, state) {
    const input = state.buffer(step.op.input);
    const out = state.buffer(step.op.output);
    for (let i = 0; i < out.length; i++) out[i] = saturate(out[i]! + input[i]!);
  },
  constants: () => null,
  view: ({ op }, graph) => ({ input: op.input, output: op.output, width: bufferOf(graph, op.output).width }),
};
