/** Quantization of an activation to int8 with one scale a token, before linear ops. */
import { quantizeVector } from '../arithmetic/activation.js';
import { bufferOf } from '../graph/graph.js';
import type { OpDefinition } from './op.js';

export interface QuantizeOp {
  readonly kind: 'quantize';
  readonly name: string;
  readonly input: string;
  readonly output: string;
}

export interface QuantizeStep {
  readonly kind: 'quantize';
  readonly op: QuantizeOp;
}

export const quantize: OpDefinition<QuantizeOp, QuantizeStep> = {
  kind: 'quantize',
  reads: (op) => [op.input],
  writes: (op) => [op.output],
  check(op, graph) {
    const input = bufferOf(graph, op.input);
    const output = bufferOf(graph, op.output);
    if (input.width !== output.width) return `${op.output} is not as wide as ${op.input}`;
    return input.kind === 'int32' && output.kind === 'int8' ? null : 'quantize goes from int32 to int8';
  },
  float(op, state) {
    state.buffer(op.output).set(state.buffer(op.input));
  },
  lower(op, lowering) {
    lowering.setFormat(op.output, lowering.formatOf(op.input));
    return { kind: 'quantize', op };
  },
  integer(step, state) {
    const token = state.quantized(step.op.output);
    const values = state.buffer(step.op.input);
    token.scale = quantizeVector(values, 0, values.length, token.integers, 0);
  },
  constants: () => null,
  view: ({ op }, graph) => ({ input: op.input, output: op.output, width: bufferOf(graph, op.input).width }),
};
