import type { QuantizedParts } from './packed-words.js';
import { regularGroupSize, type WeightGrid } from './weight-grid.js';

export interface GptqSettings {
  readonly bits: number;
  /** Columns that share a scale; null: all of a row. */
  readonly groupSize: number | null;
  /**
   * Whether stored zero points are one too small, as in the first format ("gptq"); "gptq_v2" stores them as they
   * are.
   */
  readonly zeroPointsLessOne: boolean;
}

/** [outputs, inputs] of a GPTQ matrix: qweight is [inputs * bits / 32, outputs]. */
export function gptqShape(parts: QuantizedParts, { bits }: GptqSettings): [number, number] {
  const shape = parts.shape('qweight');
  if (shape.length !== 2) throw parts.fault(`qweight has ${shape.length} dimensions`);
  return [shape[1]!, (shape[0]! * 32) / bits];
}

/**
 * GPTQ (Frantar et al. 2023, arXiv 2210.17323) as AutoGPTQ and GPTQModel store it: word w of an output holds inputs
 * w * 32 / bits and up, the first in the lowest bits; qzeros [groups, outputs * bits / 32] packs outputs, scales is
 * [groups, outputs], g_idx [inputs] gives the group of each input (act-order does not sort them).
 */
export function unpackGptq(parts: QuantizedParts, settings: GptqSettings): WeightGrid {
  const { bits, zeroPointsLessOne } = settings;
  const [rows, columns] = gptqShape(parts, settings);
  const perWord = 32 / bits;
  const mask = 2 ** bits - 1;
  const size = settings.groupSize ?? columns;
  const groups = Math.ceil(columns / size);
  if (rows % perWord !== 0) throw parts.fault(`${rows} outputs do not fill words of ${perWord} zero points`);
  const words = parts.words('qweight', columns / perWord, rows);
  const packedZeros = parts.words('qzeros', groups, rows / perWord);
  const transposedScales = parts.floats('scales', groups, rows);
  const groupOf = readGroups(parts, columns, groups, size);

  const zeros = new Int16Array(groups * rows);
  for (let i = 0; i < zeros.length; i++) {
    const word = packedZeros[Math.floor(i / perWord)]!;
    zeros[i] = ((word >>> (bits * (i % perWord))) & mask) + (zeroPointsLessOne ? 1 : 0);
  }
  const codes = new Int16Array(rows * columns);
  for (let c = 0; c < columns; c++) {
    const from = Math.floor(c / perWord) * rows;
    const shift = bits * (c % perWord);
    const zeroRow = groupOf[c]! * rows;
    for (let r = 0; r < rows; r++) {
      codes[r * columns + c] = ((words[from + r]! >>> shift) & mask) - zeros[zeroRow + r]!;
    }
  }
  const scales = new Float32Array(rows * groups);
  for (let g = 0; g < groups; g++) {
    for (let r = 0; r < rows; r++) scales[r * groups + g] = transposedScales[g * rows + r]!;
  }
  return { rows, columns, groups, codes, scales, groupOf, groupSize: regularGroupSize(groupOf, groups) };
}

function readGroups(parts: QuantizedParts, columns: number, groups: number, size: number): Int32Array {
  if (!parts.has('g_idx'))
    return Int32Array.from({ length: columns }, (_, column) => Math.floor(column / size));
  const groupOf = parts.words('g_idx', columns);
  const bad = groupOf.findIndex((group) => group < 0 || group >= groups);
  if (bad >= 0) throw parts.fault(`g_idx puts input ${bad} into group ${groupOf[bad]} of ${groups}`);
  return groupOf;
}
