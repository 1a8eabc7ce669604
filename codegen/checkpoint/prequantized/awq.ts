import type { QuantizedParts } from './packed-words.js';
import type { WeightGrid } from './weight-grid.js';

export interface AwqSettings {
  /** Columns that share a scale; null: all of a row. */
  readonly groupSize: number | null;
  /** Whether there are zero points; without, they are 8. */
  readonly zeroPoint: boolean;
}

/** Nibble k of a word of AWQ's GEMM kernels holds output 8 w + order[k]. */
const order = [0, 2, 4, 6, 1, 3, 5, 7];

/** [outputs, inputs] of an AWQ matrix: qweight is [inputs, outputs / 8]. */
export function awqShape(parts: QuantizedParts): [number, number] {
  const shape = parts.shape('qweight');
  if (shape.length !== 2) throw parts.fault(`qweight has ${shape.length} dimensions`);
  return [8 * shape[1]!, shape[0]!];
}

/**
 * AWQ (Lin et al. 2024, arXiv 2306.00978) as AutoAWQ stores it for its GEMM kernels: 4 bits, qweight [inputs, outputs / 8]
 * and qzeros [groups, outputs / 8] with nibbles in the order of the kernels, scales [groups, outputs].
 */
export function unpackAwq(parts: QuantizedParts, { groupSize, zeroPoint }: AwqSettings): WeightGrid {
  const [rows, columns] = awqShape(parts);
  const size = groupSize ?? columns;
  const groups = Math.ceil(columns / size);
  const words = parts.words('qweight', columns, rows / 8);
  const packedZeros = zeroPoint ? parts.words('qzeros', groups, rows / 8) : null;
  const transposedScales = parts.floats('scales', groups, rows);
  const groupOf = Int32Array.from({ length: columns }, (_, column) => Math.floor(column / size));
  const codes = new Int16Array(rows * columns);
  const scales = new Float32Array(rows * groups);
  for (let r = 0; r < rows; r++) {
    const word = Math.floor(r / 8);
    const shift = 4 * order.indexOf(r % 8);
    for (let g = 0; g < groups; g++) scales[r * groups + g] = transposedScales[g * rows + r]!;
    for (let c = 0; c < columns; c++) {
      const zeroWord = packedZeros?.[(groupOf[c]! * rows) / 8 + word];
      const zero = zeroWord === undefined ? 8 : (zeroWord >>> shift) & 15;
      codes[r * columns + c] = ((words[(c * rows) / 8 + word]! >>> shift) & 15) - zero;
    }
  }
  return { rows, columns, groups, codes, scales, groupOf, groupSize: size };
}
