/** Gaussian error linear unit (Hendrycks and Gimpel 2016, arXiv 1606.08415): x times the gate of tables.ts, exact or by tanh. */
import { scale } from '../arithmetic/fixed.js';
import { geluGate } from '../arithmetic/functions.js';
import { exactGeluGate } from '../arithmetic/tables.js';
import type { GeluKind } from '../checkpoint/config.js';
import { bufferOf } from '../graph/graph.js';
import type { OpDefinition } from './op.js';

export interface GeluOp {
  readonly kind: 'gelu';
  readonly name: string;
  readonly form: GeluKind;
  readonly input: string;
  readonly output: string;
  readonly range: string;
}

export interface GeluStep {
  readonly kind: 'gelu';
  readonly op: GeluOp;
  readonly inFrac: number;
  /** Right shift of the product of a value and its gate, Q24, to the output's format. */
  readonly outShift: number;
  readonly outFrac: number;
}

export const gelu: OpDefinition<GeluOp, GeluStep> = {
  kind: 'gelu',
  reads: (op) => [op.input],
  writes: (op) => [op.output],
  check: (op, graph) =>
    bufferOf(graph, op.input).width === bufferOf(graph, op.output).width
      ? null
      : `${op.input} and ${op.output} differ in width`,
  float(op, state) {
    const input = state.buffer(op.input);
    const out = state.buffer(op.output);
    for (let i = 0; i < out.length; i++) out[i] = input[i]! * exactGeluGate(input[i]!, op.form);
    state.observe(op.range, out);
  },
  lower(op, lowering) {
    const inFrac = lowering.formatOf(op.input);
    const outFrac = lowering.fraction(op.range);
    lowering.setFormat(op.output, outFrac);
    return { kind: 'gelu', op, inFrac, outShift: inFrac + 24 - outFrac, outFrac };
  },
  integer(step, state) {
    const input = state.buffer(step.op.input);
    const out = state.buffer(step.op.output);
    for (let i = 0; i < out.length; i++) {
      out[i] = scale(input[i]!, geluGate(input[i]!, step.inFrac, step.op.form), step.outShift);
    }
  },
  constants: (step) => ({
    type: 'em_gelu_op',
    fields: [
      { name: 'in_frac', value: `${step.inFrac}` },
      { name: 'out_shift', value: `${step.outShift}` },
    ],
    note: `Q${step.inFrac} -> Q${step.outFrac}`,
  }),
  view: ({ op }, graph) => ({
    input: op.input,
    output: op.output,
    form: op.form,
    width: bufferOf(graph, op.output).width,
  }),
};
