/** Matrix times quantized vector, with an optional bias: out = gain * (W x + b). */
import { type Multiplier, roundShift, saturate, scale } from '../arithmetic/fixed.js';
import { EmbedError } from '../diagnostics/error.js';
import { bufferOf } from '../graph/graph.js';
import { GROUP, groupsPerRow } from '../quantize/format.js';
import { accumulatorShift, type QuantizedMatrix } from '../quantize/matrix.js';
import { leastExponent, rowMultiplierOf } from '../quantize/row-scale.js';
import type { OpDefinition, QuantizedToken } from './op.js';

export interface LinearOp {
  readonly kind: 'linear';
  readonly name: string;
  readonly matrix: string;
  /** Vector of biases, or null. */
  readonly bias: string | null;
  readonly input: string;
  readonly output: string;
  readonly range: string;
  /** Factor on the output, folded into row multipliers and biases. */
  readonly gain: number;
}

export interface LinearStep {
  readonly kind: 'linear';
  readonly op: LinearOp;
  /** The matrix with the gain in its row multipliers. */
  readonly matrix: QuantizedMatrix;
  /** gain * bias in Q(outFrac), or null. */
  readonly bias: Int32Array | null;
  /** Bits dropped from the accumulator so that it fits int32; proved from the weights. */
  readonly accumulatorShift: number;
  /** Right shift of the requantization, without the row's exponent and the token's shift. */
  readonly shiftBase: number;
  readonly inFrac: number;
  readonly outFrac: number;
}

/** The same integers with every row scale multiplied by gain, rounded to what sections store unless told otherwise. */
export function scaleRows(
  matrix: QuantizedMatrix,
  gain: number,
  rounded: (real: number) => Multiplier = rowMultiplierOf,
): QuantizedMatrix {
  if (gain === 1) return matrix;
  const mantissas = new Int32Array(matrix.rows);
  const exponents = new Uint8Array(matrix.rows);
  for (let row = 0; row < matrix.rows; row++) {
    const multiplier = rounded(matrix.mantissas[row]! * gain * 2 ** -matrix.exponents[row]!);
    mantissas[row] = multiplier.mantissa;
    exponents[row] = multiplier.exponent;
  }
  return { ...matrix, mantissas, exponents };
}

/** Columns of 8-bit products whose sum an int32 holds: 2^16 * 127 * 127 < 2^30. */
const INT32_COLUMNS = 65536;

/**
 * Sum of w[base + c] * a[c] for first <= c < end, at most INT32_COLUMNS of them. Apart from dot16, so that the engine compiles
 * each for one type of array, and in int32, which takes half the time of doubles.
 */
function dot8(w: Int8Array, base: number, a: Int8Array, first: number, end: number): number {
  let sum = 0;
  for (let c = first; c < end; c++) sum = (sum + w[base + c]! * a[c]!) | 0;
  return sum;
}

/** The same for 16-bit weights; exact to 2^53. */
function dot16(w: Int16Array, base: number, a: Int8Array, columns: number): number {
  let sum = 0;
  for (let c = 0; c < columns; c++) sum += w[base + c]! * a[c]!;
  return sum;
}

/** sum over groups of k * sum q a: exact, below 2^31 * 2^accumulatorShift. */
export function accumulateRow(matrix: QuantizedMatrix, row: number, activation: Int8Array): number {
  const { columns, integers, subScales } = matrix;
  const base = row * columns;
  if (integers instanceof Int16Array) return dot16(integers, base, activation, columns);
  const width = subScales === null ? INT32_COLUMNS : GROUP;
  const firstScale = row * groupsPerRow(columns);
  let total = 0;
  for (let first = 0, group = 0; first < columns; first += width, group++) {
    const sum = dot8(integers, base, activation, first, Math.min(columns, first + width));
    total += subScales === null ? sum : sum * subScales[firstScale + group]!;
  }
  return total;
}

/** out[r] = requantize(W x) + b for every row (docs/arithmetic.md, section 4). */
export function multiplyQuantized(step: LinearStep, token: QuantizedToken, out: Int32Array): void {
  const { matrix, bias } = step;
  for (let row = 0; row < matrix.rows; row++) {
    const sum = roundShift(accumulateRow(matrix, row, token.integers), step.accumulatorShift);
    const multiplier = scale(matrix.mantissas[row]!, token.scale.mantissa, 30);
    const value = scale(sum, multiplier, matrix.exponents[row]! + step.shiftBase - token.scale.shift);
    out[row] = bias === null ? value : saturate(value + bias[row]!);
  }
}

/** Shift of a token at the upper end of its calibrated range (docs/arithmetic.md, section 9). */
const CALIBRATED_TOKEN_SHIFT = 11;

/** Requantization shifts to the right only: a row scale too large for the Q formats around it would be clamped silently. */
function refuseNegativeShift(matrix: QuantizedMatrix, shiftBase: number): void {
  const least = matrix.exponents.reduce(
    (min, e, row) => (matrix.mantissas[row] === 0 ? min : Math.min(min, e)),
    255,
  );
  if (least + shiftBase - CALIBRATED_TOKEN_SHIFT >= 0) return;
  throw new EmbedError('EM2006', {
    where: matrix.name,
    why: `its largest row scale asks for a shift of ${least + shiftBase - CALIBRATED_TOKEN_SHIFT} bits between input and output`,
  });
}

export const linear: OpDefinition<LinearOp, LinearStep> = {
  kind: 'linear',
  reads: (op) => [op.input],
  writes: (op) => [op.output],
  check(op, graph) {
    const matrix = graph.matrices.find((m) => m.name === op.matrix);
    if (matrix === undefined) return `no matrix ${op.matrix}`;
    const input = bufferOf(graph, op.input);
    const output = bufferOf(graph, op.output);
    if (input.kind !== 'int8' || output.kind !== 'int32') return 'linear goes from int8 to int32';
    if (input.width !== matrix.columns)
      return `${op.matrix} has ${matrix.columns} columns, ${op.input} ${input.width} values`;
    if (output.width !== matrix.rows)
      return `${op.matrix} has ${matrix.rows} rows, ${op.output} ${output.width} values`;
    const bias = op.bias === null ? undefined : graph.vectors.find((v) => v.name === op.bias);
    return op.bias === null || bias?.length === matrix.rows
      ? null
      : `${op.bias} does not fit ${matrix.rows} rows`;
  },
  float(op, state) {
    const out = state.buffer(op.output);
    state.multiply(op.matrix, state.buffer(op.input), out);
    if (op.bias !== null) {
      const bias = state.vector(op.bias);
      for (let i = 0; i < out.length; i++) out[i] = out[i]! + bias[i % bias.length]!;
    }
    if (op.gain !== 1) for (let i = 0; i < out.length; i++) out[i] = out[i]! * op.gain;
    state.observe(op.range, out);
  },
  lower(op, lowering) {
    const matrix = lowering.matrix(op.matrix, op.gain);
    const outFrac = lowering.fraction(op.range);
    const inFrac = lowering.formatOf(op.input);
    const shift = accumulatorShift(matrix);
    const bias =
      op.bias === null
        ? null
        : Int32Array.from(lowering.vector(op.bias), (b) => saturate(Math.round(b * op.gain * 2 ** outFrac)));
    lowering.setFormat(op.output, outFrac);
    refuseNegativeShift(matrix, inFrac - outFrac - 15 - shift);
    // The token's mantissa carries 15 bits beyond its value, the product of mantissas drops 30.
    return {
      kind: 'linear',
      op,
      matrix,
      bias,
      accumulatorShift: shift,
      shiftBase: inFrac - outFrac - 15 - shift,
      inFrac,
      outFrac,
    };
  },
  integer(step, state) {
    multiplyQuantized(step, state.quantized(step.op.input), state.buffer(step.op.output));
  },
  vectors: ({ op, bias }) => (bias === null ? [] : [{ name: op.bias!, values: bias }]),
  constants: (step, places) => ({
    type: 'em_linear_op',
    fields: [
      { name: 'weights', value: places.offset(step.op.matrix) },
      { name: 'bias', value: step.op.bias === null ? 'EM_NO_BIAS' : places.offset(step.op.bias) },
      { name: 'format', value: `EM_${step.matrix.format.toUpperCase()}` },
      { name: 'accumulator_shift', value: `${step.accumulatorShift}` },
      { name: 'least_shift', value: `${leastExponent(step.matrix) + step.shiftBase}` },
    ],
    note: `${step.matrix.format}, Q${step.inFrac} -> Q${step.outFrac}`,
  }),
  view: ({ op, matrix }) => ({
    input: op.input,
    output: op.output,
    rows: matrix.rows,
    columns: matrix.columns,
    bias: op.bias === null ? '' : ' + bias',
  }),
};
