/** Layer norm: mean removed, divided by the standard deviation, gains and biases (Ba et al. 2016, arXiv 1607.06450). */
import { bitLength, roundShift, saturate, scale } from '../arithmetic/fixed.js';
import { reciprocalSqrt } from '../arithmetic/functions.js';
import { bufferOf } from '../graph/graph.js';
import type { OpDefinition } from './op.js';
import { NORM_WIDTH_MAX, normEpsilon, normGains } from './rmsnorm.js';

export interface LayerNormOp {
  readonly kind: 'layernorm';
  readonly name: string;
  readonly gains: string;
  /** Vector of biases, or null. */
  readonly bias: string | null;
  readonly input: string;
  readonly output: string;
  readonly epsilon: number;
  readonly range: string;
}

export interface LayerNormStep {
  readonly kind: 'layernorm';
  readonly op: LayerNormOp;
  /** gains[i] * sqrt(width) in Q(gainFrac), magnitudes at most 2^30. */
  readonly gains: Int32Array;
  /** In Q(outFrac), or null. */
  readonly bias: Int32Array | null;
  /** As in RmsNormStep. */
  readonly epsilon: bigint;
  readonly floorBits: number;
  readonly outShift: number;
  readonly outFrac: number;
}

/** As in rmsnorm: squares take 48 bits. */
const NORMAL_BITS = 24;

/** Normalises a vector in integers (docs/arithmetic.md, section 5). */
export function layerNormVector(step: LayerNormStep, values: Int32Array, out: Int32Array): void {
  const { gains, bias } = step;
  const width = gains.length;
  const sum = values.reduce((total, v) => total + v, 0); // below 2^44
  const mean = Math.floor((2 * sum + width) / (2 * width));
  const centered = Int32Array.from(values, (v) => saturate(v - mean));
  const largest = centered.reduce((max, v) => Math.max(max, Math.abs(v)), 0);
  const bits = Math.max(bitLength(largest), step.floorBits);
  const shift = bits - NORMAL_BITS;
  let total = step.epsilon >> BigInt(2 * (bits - step.floorBits));
  for (const v of centered) total += BigInt(roundShift(v, shift) ** 2);
  const { mantissa, k } = reciprocalSqrt(total > 0n ? total : 1n);
  for (let i = 0; i < width; i++) {
    const unit = scale(roundShift(centered[i]!, shift), mantissa, 31 - k); // Q30, magnitude at most 1
    const value = scale(unit, gains[i]!, step.outShift);
    out[i] = bias === null ? value : saturate(value + bias[i]!);
  }
}

export const layernorm: OpDefinition<LayerNormOp, LayerNormStep> = {
  kind: 'layernorm',
  reads: (op) => [op.input],
  writes: (op) => [op.output],
  check(op, graph) {
    const { width } = bufferOf(graph, op.input);
    if (bufferOf(graph, op.output).width !== width) return `${op.output} is not as wide as ${op.input}`;
    for (const name of [op.gains, op.bias]) {
      if (name === null) continue;
      const vector = graph.vectors.find((v) => v.name === name);
      if (vector?.length !== width) return `${name} has ${vector?.length} values for ${width}`;
    }
    return width <= NORM_WIDTH_MAX ? null : `norm over ${width} values, at most ${NORM_WIDTH_MAX}`;
  },
  float(op, state) {
    const input = state.buffer(op.input);
    const out = state.buffer(op.output);
    const gains = state.vector(op.gains);
    const bias = op.bias === null ? null : state.vector(op.bias);
    const width = gains.length;
    for (let start = 0; start < input.length; start += width) {
      let sum = 0;
      for (let i = 0; i < width; i++) sum += input[start + i]!;
      const mean = sum / width;
      let squares = 0;
      for (let i = 0; i < width; i++) squares += (input[start + i]! - mean) ** 2;
      const factor = 1 / Math.sqrt(squares / width + op.epsilon);
      for (let i = 0; i < width; i++)
        out[start + i] = (input[start + i]! - mean) * factor * gains[i]! + (bias?.[i] ?? 0);
    }
    state.observe(op.range, out);
  },
  lower(op, lowering) {
    const { gains, gainFrac } = normGains(lowering.vector(op.gains), 1);
    const outFrac = lowering.fraction(op.range);
    const { epsilon, floorBits } = normEpsilon(gains.length, op.epsilon, lowering.formatOf(op.input));
    lowering.setFormat(op.output, outFrac);
    const bias =
      op.bias === null
        ? null
        : Int32Array.from(lowering.vector(op.bias), (b) => saturate(Math.round(b * 2 ** outFrac)));
    const outShift = 30 + gainFrac - outFrac;
    return { kind: 'layernorm', op, gains, bias, epsilon, floorBits, outShift, outFrac };
  },
  integer(step, state) {
    layerNormVector(step, state.buffer(step.op.input), state.buffer(step.op.output));
  },
  vectors: ({ op, gains, bias }) => [
    { name: op.gains, values: gains },
    ...(bias === null ? [] : [{ name: op.bias!, values: bias }]),
  ],
  constants: (step, places) => ({
    type: 'em_layernorm_op',
    fields: [
      { name: 'gains', value: places.offset(step.op.gains) },
      { name: 'bias', value: step.op.bias === null ? 'EM_NO_VECTOR' : places.offset(step.op.bias) },
      { name: 'epsilon', value: `${step.epsilon}` },
      { name: 'floor_bits', value: `${step.floorBits}` },
      { name: 'out_shift', value: `${step.outShift}` },
    ],
    note: `-> Q${step.outFrac}`,
  }),
  view: ({ op, gains }) => ({
    input: op.input,
    output: op.output,
    width: gains.length,
    bias: op.bias === null ? '' : ' + bias',
  }),
};
