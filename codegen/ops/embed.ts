/** Embedding: the row of a token's id or of its position. */
import { scale } from '../arithmetic/fixed.js';
import { bufferOf } from '../graph/graph.js';
import { ACTIVATION_MAX, GROUP, groupsPerRow } from '../quantize/format.js';
import type { QuantizedMatrix } from '../quantize/matrix.js';
import { leastExponent } from '../quantize/row-scale.js';
import type { OpDefinition } from './op.js';

export interface EmbedOp {
  readonly kind: 'embed';
  readonly name: string;
  /** What chooses the row. */
  readonly index: 'token' | 'position';
  readonly matrix: string;
  readonly output: string;
  readonly range: string;
}

export interface EmbedStep {
  readonly kind: 'embed';
  readonly op: EmbedOp;
  readonly matrix: QuantizedMatrix;
  readonly outFrac: number;
}

/**
 * Gathers a row from the stored integers into Q(outFrac): em_scale(127 * q * k, mantissa, exponent - outFrac). The 127 undoes
 * the division that row multipliers carry for the linear ops.
 */
export function gatherRow(matrix: QuantizedMatrix, row: number, outFrac: number, out: Int32Array): void {
  const { columns, integers, subScales } = matrix;
  const groups = groupsPerRow(columns);
  const mantissa = matrix.mantissas[row]!;
  const shift = matrix.exponents[row]! - outFrac;
  for (let c = 0; c < columns; c++) {
    const k = subScales === null ? 1 : subScales[row * groups + Math.floor(c / GROUP)]!;
    out[c] = scale(ACTIVATION_MAX * k * integers[row * columns + c]!, mantissa, shift);
  }
}

export const embed: OpDefinition<EmbedOp, EmbedStep> = {
  kind: 'embed',
  reads: () => [],
  writes: (op) => [op.output],
  check(op, graph) {
    const matrix = graph.matrices.find((m) => m.name === op.matrix);
    if (matrix === undefined) return `no matrix ${op.matrix}`;
    const { width } = bufferOf(graph, op.output);
    if (matrix.columns !== width)
      return `${op.matrix} has ${matrix.columns} columns, ${op.output} takes ${width}`;
    const [what, rows] = op.index === 'token' ? ['vocabulary', graph.vocabSize] : ['context', graph.context];
    return matrix.rows === rows ? null : `${op.matrix} has ${matrix.rows} rows, ${what} ${rows}`;
  },
  float(op, state) {
    const { width } = bufferOf(state.graph, op.output);
    const out = state.buffer(op.output);
    state.ids.forEach((id, token) => {
      const row = op.index === 'token' ? id : state.position + token;
      out.set(state.row(op.matrix, row), token * width);
    });
    state.observe(op.range, out);
  },
  lower(op, lowering) {
    const outFrac = lowering.fraction(op.range);
    lowering.setFormat(op.output, outFrac);
    return { kind: 'embed', op, matrix: lowering.matrix(op.matrix), outFrac };
  },
  integer(step, state) {
    const row = step.op.index === 'token' ? state.id : state.position;
    gatherRow(step.matrix, row, step.outFrac, state.buffer(step.op.output));
  },
  constants: () => null,
  view: ({ op, matrix, outFrac }, _graph, places) => ({
    output: op.output,
    what: op.index === 'token' ? 'token id' : 'position',
    table: op.index === 'token' ? 'embedding' : 'positions',
    row: op.index === 'token' ? '(em_u32)ids[t]' : 'm->position + t',
    width: matrix.columns,
    matrix: op.matrix,
    rows: matrix.rows,
    format: matrix.format,
    formatCode: `EM_${matrix.format.toUpperCase()}`,
    frac: outFrac,
    leastShift: leastExponent(matrix) - outFrac,
    offset: places.offset(op.matrix),
  }),
};
