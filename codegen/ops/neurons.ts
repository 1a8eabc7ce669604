/**
 * Weights of a geometric neuron field: neuron n at position P_n with temperature T_n weighs exp(-|x - P_n| / (|T_n| + floor)), and
 * weights are divided by their sum plus epsilon. Distances come from dot products: |x - P|^2 / 2 = |x|^2 / 2 + |P|^2 / 2 - x . P.
 */
import {
  bitLength,
  INT32_MAX,
  maxMagnitude,
  multiplierOf,
  roundShift,
  saturate,
  scale,
} from '../arithmetic/fixed.js';
import { exp2Negative, reciprocalSqrt } from '../arithmetic/functions.js';
import { bufferOf } from '../graph/graph.js';
import { dequantizeRow } from '../quantize/matrix.js';
import type { OpDefinition } from './op.js';

export interface NeuronsOp {
  readonly kind: 'neurons';
  readonly name: string;
  /** The activation whose distances are taken. */
  readonly input: string;
  /** Its dot products with the positions of the neurons. */
  readonly dots: string;
  /** Weights, one a neuron. */
  readonly output: string;
  /** Matrix of positions, neurons x width. */
  readonly positions: string;
  /** Vector of temperatures; what the blob holds of it are the constants of NeuronsStep. */
  readonly temperatures: string;
  readonly temperatureFloor: number;
  readonly epsilon: number;
  /** That of the dot products: halves of squared norms share their format. */
  readonly range: string;
}

export interface NeuronsStep {
  readonly kind: 'neurons';
  readonly op: NeuronsOp;
  readonly count: number;
  /** int32[3 x count]: |P|^2 / 2 in the format of the dots; mantissas and exponents of log2(e) / (|T| + floor). */
  readonly constants: Int32Array;
  readonly dotsFrac: number;
  readonly inFrac: number;
  /** -log2(epsilon) in Q16: epsilon counts as a neuron of this score without a value. */
  readonly epsilonScore: number;
}

/** Bits after the point of weights. */
const WEIGHT_FRACTION = 30;
/** Bits that the largest magnitude of an activation keeps before it is squared. */
const SQUARE_BITS = 24;
/** Values of the activation: 2^13 squares of 2^48 stay below 2^62. */
const WIDTH_MAX = 8192;
/** Neurons: the sum of as many exponentials in Q30 stays below 2^53. */
const COUNT_MAX = 1 << 20;

/** |x|^2 / 2 in the format of the dot products, saturated. */
function halfSquare(step: NeuronsStep, values: Int32Array): number {
  const drop = Math.max(0, bitLength(maxMagnitude(values)) - SQUARE_BITS);
  let sum = 0n;
  for (const v of values) sum += BigInt(roundShift(v, drop) ** 2);
  const shift = Math.min(62, Math.max(0, 2 * (step.inFrac - drop) + 1 - step.dotsFrac));
  const rounded = shift === 0 ? sum : (sum + (1n << BigInt(shift - 1))) >> BigInt(shift);
  return saturate(Number(rounded));
}

/** The square root of a positive total below 2^62 as root * 2^-k with root in [2^30, 2^31). */
function squareRoot(total: bigint): { root: number; k: number } {
  const { mantissa, k } = reciprocalSqrt(total);
  const root = (((total << BigInt(2 * k)) >> 30n) * BigInt(mantissa)) >> 31n;
  return { root: Math.min(INT32_MAX, Number(root)), k };
}

/** Scores in Q16 to base 2: log2(e) |x - P| / (|T| + floor). */
function scoresOf(step: NeuronsStep, values: Int32Array, dots: Int32Array): Int32Array {
  const { count, constants, dotsFrac } = step;
  const half = halfSquare(step, values);
  const odd = dotsFrac % 2;
  const rootFrac = (dotsFrac + odd) / 2;
  return Int32Array.from({ length: count }, (_, n) => {
    const halfDistance = Math.max(0, half + constants[n]! - dots[n]!); // below 2^33
    if (halfDistance === 0) return 0;
    const { root, k } = squareRoot(BigInt(halfDistance * 2 ** (1 + odd)));
    return scale(root, constants[count + n]!, constants[2 * count + n]! + k + rootFrac - 16);
  });
}

/** Weights in Q30 (docs/arithmetic.md, section 6). */
export function neuronWeights(
  step: NeuronsStep,
  values: Int32Array,
  dots: Int32Array,
  out: Int32Array,
): void {
  const scores = scoresOf(step, values, dots);
  const least = scores.reduce((min, s) => Math.min(min, s), step.epsilonScore);
  const exponentials = Array.from(scores, (s) => exp2Negative(s - least)); // Q30
  const total = exponentials.reduce((sum, e) => sum + e, exp2Negative(step.epsilonScore - least));
  const bits = bitLength(total);
  const normal = Math.floor(total * 2 ** (31 - bits)); // [2^30, 2^31)
  const reciprocal = Math.min(INT32_MAX, Math.floor(2 ** 61 / normal));
  exponentials.forEach((e, n) => {
    out[n] = scale(e, reciprocal, bits);
  });
}

export const neurons: OpDefinition<NeuronsOp, NeuronsStep> = {
  kind: 'neurons',
  reads: (op) => [op.input, op.dots],
  writes: (op) => [op.output],
  check(op, graph) {
    const matrix = graph.matrices.find((m) => m.name === op.positions);
    const count = bufferOf(graph, op.dots).width;
    const { width } = bufferOf(graph, op.input);
    if (matrix?.rows !== count || matrix.columns !== width)
      return `${op.positions} is not ${count} x ${width}`;
    if (bufferOf(graph, op.output).width !== count) return `${op.output} has not a weight a neuron`;
    if (graph.vectors.find((v) => v.name === op.temperatures)?.length !== count)
      return `${op.temperatures} has not a temperature a neuron`;
    return width <= WIDTH_MAX && count <= COUNT_MAX ? null : `${count} neurons over ${width} values`;
  },
  float(op, state) {
    const input = state.buffer(op.input);
    const dots = state.buffer(op.dots);
    const out = state.buffer(op.output);
    const temperatures = state.vector(op.temperatures);
    const count = temperatures.length;
    const width = input.length / state.tokens;
    const squares = Float32Array.from({ length: count }, (_, n) => squareSum(state.row(op.positions, n)) / 2);
    state.observe(op.range, squares);
    for (let token = 0; token < state.tokens; token++) {
      const half = squareSum(input.subarray(token * width, (token + 1) * width)) / 2;
      state.observe(op.range, Float32Array.of(half));
      let sum = op.epsilon;
      for (let n = 0; n < count; n++) {
        const at = token * count + n;
        const distance = Math.sqrt(Math.max(0, 2 * (half + squares[n]! - dots[at]!)));
        out[at] = Math.exp(-distance / (Math.abs(temperatures[n]!) + op.temperatureFloor));
        sum += out[at]!;
      }
      for (let n = 0; n < count; n++) out[token * count + n] = out[token * count + n]! / sum;
    }
  },
  lower(op, lowering) {
    const matrix = lowering.matrix(op.positions);
    const temperatures = lowering.vector(op.temperatures);
    const dotsFrac = lowering.formatOf(op.dots);
    const count = temperatures.length;
    const constants = new Int32Array(3 * count);
    const row = new Float32Array(matrix.columns);
    for (let n = 0; n < count; n++) {
      dequantizeRow(matrix, n, row);
      const rate = multiplierOf(Math.LOG2E / (Math.abs(temperatures[n]!) + op.temperatureFloor));
      constants[n] = saturate(Math.round((squareSum(row) / 2) * 2 ** dotsFrac));
      constants[count + n] = rate.mantissa;
      constants[2 * count + n] = rate.exponent;
    }
    lowering.setFormat(op.output, WEIGHT_FRACTION);
    const epsilonScore = Math.min(INT32_MAX, Math.max(0, Math.round(-Math.log2(op.epsilon) * 65536)));
    return {
      kind: 'neurons',
      op,
      count,
      constants,
      dotsFrac,
      inFrac: lowering.formatOf(op.input),
      epsilonScore,
    };
  },
  integer(step, state) {
    const { input, dots, output } = step.op;
    neuronWeights(step, state.buffer(input), state.buffer(dots), state.buffer(output));
  },
  vectors: ({ op, constants }) => [{ name: op.temperatures, values: constants }],
  constants: (step, places) => ({
    type: 'em_neurons_op',
    fields: [
      { name: 'constants', value: places.offset(step.op.temperatures) },
      { name: 'in_frac', value: `${step.inFrac}` },
      { name: 'dots_frac', value: `${step.dotsFrac}` },
      { name: 'epsilon_score', value: `${step.epsilonScore}` },
    ],
    note: `dots Q${step.dotsFrac} -> Q${WEIGHT_FRACTION}`,
  }),
  view: ({ op, count }, graph) => ({
    input: op.input,
    dots: op.dots,
    output: op.output,
    count,
    width: bufferOf(graph, op.input).width,
  }),
};

/** Sum of the squares of a vector, in double precision. */
function squareSum(values: Float32Array): number {
  let sum = 0;
  for (const v of values) sum += v * v;
  return sum;
}
