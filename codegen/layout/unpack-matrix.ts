/** A quantized matrix read back from a section of a blob. */
import { formats, groupsPerRow } from '../quantize/format.js';
import { allocateMatrix, type QuantizedMatrix } from '../quantize/matrix.js';
import type { Layout, PackedShape } from './kernel-set.js';

/** What was packed: pack of the result is the same section again. The section has the size that the layout says. */
export function unpackMatrix(
  layout: Layout,
  section: Uint8Array,
  name: string,
  shape: PackedShape,
): QuantizedMatrix {
  const { format, rows, columns } = shape;
  const packed = layout.open(section, shape);
  const matrix = allocateMatrix(name, format, rows, columns);
  const groups = formats[format].grouped ? groupsPerRow(columns) : 0;
  for (let row = 0; row < rows; row++) {
    for (let c = 0; c < columns; c++) matrix.integers[row * columns + c] = packed.integer(row, c);
    for (let g = 0; g < groups; g++) matrix.subScales![row * groups + g] = packed.subScale(row, g);
    matrix.mantissas[row] = packed.mantissa(row);
    matrix.exponents[row] = packed.exponent(row);
  }
  return matrix;
}
