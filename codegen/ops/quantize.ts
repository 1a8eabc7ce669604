/** Quantization of an activation to int8 before linear ops, with a scale a token, or one that calibration fixed. */
import { quantizeClamped, quantizeVector } from '../arithmetic/activation.js';
import { INT32_MAX } from '../arithmetic/fixed.js';
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
  /** What 127 stands for, in the Q format of the input: values beyond count as it. Null: the largest magnitude of each token. */
  readonly largest: number | null;
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
    const frac = lowering.formatOf(op.input);
    lowering.setFormat(op.output, frac);
    const fixed = lowering.largestInput(op.name);
    const largest = fixed === null ? null : Math.max(1, Math.min(INT32_MAX, Math.round(fixed * 2 ** frac)));
    return { kind: 'quantize', op, largest };
  },
  integer(step, state) {
    const token = state.quantized(step.op.output);
    const values = state.buffer(step.op.input);
    const { largest } = step;
    token.scale =
      largest === null
        ? quantizeVector(values, 0, values.length, token.integers, 0)
        : quantizeClamped(values, 0, values.length, largest, token.integers, 0);
  },
  constants: ({ largest }) =>
    largest === null
      ? null
      : { type: 'em_quantize_op', fields: [{ name: 'largest', value: `${largest}` }], note: 'fixed scale' },
  view: ({ op, largest }, graph) => ({
    input: op.input,
    output: op.output,
    width: bufferOf(graph, op.input).width,
    fixed: largest !== null,
  }),
};
