import type { QuantizedParts } from './packed-words.js';
import { regularGroupSize, type WeightGrid } from './weight-grid.js';

export interface PackSettings {
  readonly bits: number;
  /** Columns that share a scale; null: all of a row, or of the matrix. */
  readonly groupSize: number | null;
  /** Whether one scale serves the whole matrix. */
  readonly perTensor: boolean;
  readonly symmetric: boolean;
}

/** [outputs, inputs] of a packed matrix, from weight_packed [outputs, ceil(inputs * bits / 32)] and weight_shape. */
export function packShape(
  parts: QuantizedParts,
  shapeOf: (part: string) => readonly number[],
): [number, number] {
  const packed = parts.shape('weight_packed');
  const [rows, columns] = shapeOf('weight_shape');
  if (packed.length !== 2 || rows === undefined || columns === undefined || packed[0] !== rows) {
    throw parts.fault('weight_shape and weight_packed contradict each other');
  }
  return [rows, columns];
}

/**
 * The format pack-quantized of compressed-tensors (https://github.com/vllm-project/compressed-tensors): codes with
 * 2^(bits - 1) added, inputs one after the other from the lowest bits; weight_scale [outputs, groups]; zero points packed
 * the same way but down the outputs, [ceil(outputs * bits / 32), groups]; weight_g_idx [inputs] where groups are not runs.
 */
export function unpackPacked(
  parts: QuantizedParts,
  shape: readonly [number, number],
  settings: PackSettings,
): WeightGrid {
  const { bits, symmetric, perTensor } = settings;
  const [rows, columns] = shape;
  const perWord = 32 / bits;
  const mask = 2 ** bits - 1;
  const size = settings.groupSize ?? columns;
  const groups = perTensor ? 1 : Math.ceil(columns / size);
  const rowWords = Math.ceil(columns / perWord);
  const words = parts.words('weight_packed', rows, rowWords);
  const stored = perTensor ? parts.floats('weight_scale', 1) : parts.floats('weight_scale', rows, groups);
  const scales = perTensor ? new Float32Array(rows).fill(stored[0]!) : stored;
  const groupOf = parts.has('weight_g_idx')
    ? readGroups(parts, columns, groups)
    : Int32Array.from({ length: columns }, (_, column) => Math.floor(column / size));
  const zeroWords = symmetric ? null : parts.words('weight_zero_point', Math.ceil(rows / perWord), groups);
  const codes = new Int16Array(rows * columns);
  for (let r = 0; r < rows; r++) {
    const zeroRow = Math.floor(r / perWord) * groups;
    const zeroShift = bits * (r % perWord);
    for (let c = 0; c < columns; c++) {
      const code = (words[r * rowWords + Math.floor(c / perWord)]! >>> (bits * (c % perWord))) & mask;
      const zeroWord = zeroWords?.[zeroRow + groupOf[c]!];
      codes[r * columns + c] =
        code - (zeroWord === undefined ? 2 ** (bits - 1) : (zeroWord >>> zeroShift) & mask);
    }
  }
  return { rows, columns, groups, codes, scales, groupOf, groupSize: regularGroupSize(groupOf, groups) };
}

function readGroups(parts: QuantizedParts, columns: number, groups: number): Int32Array {
  const groupOf = parts.words('weight_g_idx', columns);
  const bad = groupOf.findIndex((group) => group < 0 || group >= groups);
  if (bad >= 0) throw parts.fault(`weight_g_idx puts input ${bad} into group ${groupOf[bad]} of ${groups}`);
  return groupOf;
}
