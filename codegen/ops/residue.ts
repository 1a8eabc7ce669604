/**
 * What int8 leaves of an activation: x - int8(x). Quantized again and put through the same matrix, it takes the input of a linear op
 * to 15 bits at twice the cost.
 */
import { saturate, scale } from '../arithmetic/fixed.js';
import { bufferOf } from '../graph/graph.js';
import type { OpDefinition, QuantizedToken } from './op.js';

export interface ResidueOp {
  readonly kind: 'residue';
  readonly name: string;
  readonly input: string;
  /** The input as a quantize op left it. */
  readonly quantized: string;
  readonly output: string;
}

export interface ResidueStep {
  readonly kind: 'residue';
  readonly op: ResidueOp;
}

/** out = values - the values that the token's integers stand for (docs/arithmetic.md, section 3). */
export function residueOf(values: Int32Array, token: QuantizedToken, out: Int32Array): void {
  const { mantissa, shift } = token.scale;
  const unit = Math.floor((mantissa * 128 + 63) / 127); // below 2^31
  for (let i = 0; i < out.length; i++) {
    out[i] = saturate(values[i]! - scale(token.integers[i]!, unit, 22 - shift));
  }
}

export const residue: OpDefinition<ResidueOp, ResidueStep> = {
  kind: 'residue',
  reads: (op) => [op.input, op.quantized],
  writes: (op) => [op.output],
  check(op, graph) {
    const [input, quantized, output] = [op.input, op.quantized, op.output].map((name) =>
      bufferOf(graph, name),
    );
    if (input!.width !== quantized!.width || input!.width !== output!.width) return 'widths differ';
    const kinds = input!.kind === 'int32' && quantized!.kind === 'int8' && output!.kind === 'int32';
    return kinds ? null : 'residue takes int32 and int8 to int32';
  },
  float(op, state) {
    const input = state.buffer(op.input);
    const quantized = state.buffer(op.quantized);
    const out = state.buffer(op.output);
    for (let i = 0; i < out.length; i++) out[i] = input[i]! - quantized[i]!;
  },
  lower(op, lowering) {
    lowering.setFormat(op.output, lowering.formatOf(op.input));
    return { kind: 'residue', op };
  },
  integer({ op }, state) {
    residueOf(state.buffer(op.input), state.quantized(op.quantized), state.buffer(op.output));
  },
  constants: () => null,
  view: ({ op }, graph) => ({
    input: op.input,
    quantized: op.quantized,
    output: op.output,
    width: bufferOf(graph, op.input).width,
  }),
};
