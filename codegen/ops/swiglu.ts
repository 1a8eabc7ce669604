/** Gated activation silu(gate) * up (Shazeer 2020, arXiv 2002.05202). */
import { scale } from '../arithmetic/fixed.js';
import { sigmoid } from '../arithmetic/functions.js';
import { bufferOf } from '../graph/graph.js';
import type { OpDefinition } from './op.js';

export interface SwigluOp {
  readonly kind: 'swiglu';
  readonly name: string;
  readonly gate: string;
  readonly up: string;
  readonly output: string;
  readonly range: string;
}

export interface SwigluStep {
  readonly kind: 'swiglu';
  readonly op: SwigluOp;
  readonly gateFrac: number;
  /** Right shift of the product of silu(gate) and up to the output's format. */
  readonly outShift: number;
  readonly outFrac: number;
}

export const swiglu: OpDefinition<SwigluOp, SwigluStep> = {
  kind: 'swiglu',
  reads: (op) => [op.gate, op.up],
  writes: (op) => [op.output],
  check(op, graph) {
    const widths = [op.gate, op.up, op.output].map((name) => bufferOf(graph, name).width);
    return new Set(widths).size === 1 ? null : `widths differ: ${widths.join(', ')}`;
  },
  float(op, state) {
    const gate = state.buffer(op.gate);
    const up = state.buffer(op.up);
    const out = state.buffer(op.output);
    for (let i = 0; i < out.length; i++) out[i] = (gate[i]! / (1 + Math.exp(-gate[i]!))) * up[i]!;
    state.observe(op.range, out);
  },
  lower(op, lowering) {
    const gateFrac = lowering.formatOf(op.gate);
    const outFrac = lowering.fraction(op.range);
    lowering.setFormat(op.output, outFrac);
    return { kind: 'swiglu', op, gateFrac, outShift: gateFrac + lowering.formatOf(op.up) - outFrac, outFrac };
  },
  integer(step, state) {
    const gate = state.buffer(step.op.gate);
    const up = state.buffer(step.op.up);
    const out = state.buffer(step.op.output);
    for (let i = 0; i < out.length; i++) {
      const silu = scale(gate[i]!, sigmoid(gate[i]!, step.gateFrac), 24);
      out[i] = scale(silu, up[i]!, step.outShift);
    }
  },
  constants: (step) => ({
    type: 'em_swiglu_op',
    fields: [
      { name: 'gate_frac', value: `${step.gateFrac}` },
      { name: 'out_shift', value: `${step.outShift}` },
    ],
    note: `gate Q${step.gateFrac} -> Q${step.outFrac}`,
  }),
  view: ({ op }, graph) => ({
    gate: op.gate,
    up: op.up,
    output: op.output,
    width: bufferOf(graph, op.output).width,
  }),
};
