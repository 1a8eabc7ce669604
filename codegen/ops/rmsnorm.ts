/** Root mean square norm (Zhang and Sennrich 2019, arXiv 1910.07467), over a whole vector or every head of it. */
import { bitLength, maxMagnitude, roundShift, scale } from '../arithmetic/fixed.js';
import { reciprocalSqrt } from '../arithmetic/functions.js';
import { bufferOf } from '../graph/graph.js';
import type { OpDefinition } from './op.js';

export interface RmsNormOp {
  readonly kind: 'rmsnorm';
  readonly name: string;
  /** Vector of gains, as long as one head. */
  readonly gains: string;
  readonly input: string;
  readonly output: string;
  /** The vector is this many heads, each normalised on its own. */
  readonly heads: number;
  readonly epsilon: number;
  readonly range: string;
  /** Factor on the output. */
  readonly gain: number;
}

export interface RmsNormStep {
  readonly kind: 'rmsnorm';
  readonly op: RmsNormOp;
  /** Values a head. */
  readonly width: number;
  /** gain * gains[i] * sqrt(width) in Q(gainFrac), magnitudes at most 2^30. */
  readonly gains: Int32Array;
  /** width * epsilon in the units of the squares when the vector is normalised at floorBits; below 2^60. */
  readonly epsilon: bigint;
  /** Vectors are not normalised further up than this bit length: below it epsilon rules the sum. */
  readonly floorBits: number;
  /** Right shift from the product of a Q30 value and a gain to the output's format. */
  readonly outShift: number;
  readonly outFrac: number;
}

/** Bits that the largest magnitude has after normalisation: squares take 48, and 2^13 of them stay below 2^62. */
const NORMAL_BITS = 24;
export const NORM_WIDTH_MAX = 8192;

/** The epsilon term and the bit length below which vectors are not normalised (docs/arithmetic.md, section 5). */
export function normEpsilon(
  width: number,
  epsilon: number,
  inFrac: number,
): { epsilon: bigint; floorBits: number } {
  const at = (bits: number) => width * epsilon * 2 ** (2 * (inFrac + NORMAL_BITS - bits));
  let floorBits = 0;
  while (floorBits < 31 && at(floorBits) >= 2 ** 60) floorBits++;
  return { epsilon: BigInt(Math.round(at(floorBits))), floorBits };
}

/** gain * vector[i] * sqrt(width) in Q(gainFrac), the largest magnitude in [2^29, 2^30]. */
export function normGains(vector: Float32Array, gain: number): { gains: Int32Array; gainFrac: number } {
  const real = Float64Array.from(vector, (g) => g * gain * Math.sqrt(vector.length));
  const largest = real.reduce((max, g) => Math.max(max, Math.abs(g)), 0);
  const gainFrac = largest === 0 ? 0 : 29 - Math.floor(Math.log2(largest));
  return { gains: Int32Array.from(real, (g) => Math.round(g * 2 ** gainFrac)), gainFrac };
}

/** Normalises count values at offset in integers. */
export function normalizeVector(
  step: RmsNormStep,
  values: Int32Array,
  offset: number,
  out: Int32Array,
): void {
  const { width, gains } = step;
  const bits = Math.max(bitLength(maxMagnitude(values, offset, width)), step.floorBits);
  const shift = bits - NORMAL_BITS;
  let total = 0n;
  for (let i = 0; i < width; i += 16) {
    let part = 0; // sixteen squares below 2^48 are exact in a double
    for (let j = i; j < Math.min(width, i + 16); j++) part += roundShift(values[offset + j]!, shift) ** 2;
    total += BigInt(part);
  }
  total += step.epsilon >> BigInt(2 * (bits - step.floorBits));
  const { mantissa, k } = reciprocalSqrt(total > 0n ? total : 1n);
  for (let i = 0; i < width; i++) {
    const unit = scale(roundShift(values[offset + i]!, shift), mantissa, 31 - k); // Q30, magnitude at most 1
    out[offset + i] = scale(unit, gains[i]!, step.outShift);
  }
}

export const rmsnorm: OpDefinition<RmsNormOp, RmsNormStep> = {
  kind: 'rmsnorm',
  reads: (op) => [op.input],
  writes: (op) => [op.output],
  check(op, graph) {
    const width = bufferOf(graph, op.input).width / op.heads;
    const gains = graph.vectors.find((v) => v.name === op.gains);
    if (gains?.length !== width) return `${op.gains} has ${gains?.length} gains for ${width} values`;
    if (bufferOf(graph, op.output).width !== width * op.heads)
      return `${op.output} is not as wide as ${op.input}`;
    return width <= NORM_WIDTH_MAX ? null : `norm over ${width} values, at most ${NORM_WIDTH_MAX}`;
  },
  float(op, state) {
    const input = state.buffer(op.input);
    const out = state.buffer(op.output);
    const gains = state.vector(op.gains);
    const width = gains.length;
    for (let start = 0; start < input.length; start += width) {
      let squares = 0;
      for (let i = 0; i < width; i++) squares += input[start + i]! ** 2;
      const factor = op.gain / Math.sqrt(squares / width + op.epsilon);
      for (let i = 0; i < width; i++) out[start + i] = input[start + i]! * factor * gains[i]!;
    }
    state.observe(op.range, out);
  },
  lower(op, lowering) {
    const vector = lowering.vector(op.gains);
    const width = vector.length;
    const { gains, gainFrac } = normGains(vector, op.gain);
    const outFrac = lowering.fraction(op.range);
    const { epsilon, floorBits } = normEpsilon(width, op.epsilon, lowering.formatOf(op.input));
    lowering.setFormat(op.output, outFrac);
    return {
      kind: 'rmsnorm',
      op,
      width,
      gains,
      epsilon,
      floorBits,
      outShift: 30 + gainFrac - outFrac,
      outFrac,
    };
  },
  integer(step, state) {
    const input = state.buffer(step.op.input);
    for (let h = 0; h < step.op.heads; h++)
      normalizeVector(step, input, h * step.width, state.buffer(step.op.output));
  },
  vectors: ({ op, gains }) => [{ name: op.gains, values: gains }],
  constants: (step, places) => ({
    type: 'em_norm_op',
    fields: [
      { name: 'gains', value: places.offset(step.op.gains) },
      { name: 'epsilon', value: `${step.epsilon}` },
      { name: 'floor_bits', value: `${step.floorBits}` },
      { name: 'out_shift', value: `${step.outShift}` },
    ],
    note: `-> Q${step.outFrac}`,
  }),
  view: ({ op, width }) => ({
    input: op.input,
    output: op.output,
    width: width * op.heads,
    headWidth: width,
    heads: op.heads,
    perHead: op.heads > 1 ? ', each head on its own' : '',
  }),
};
