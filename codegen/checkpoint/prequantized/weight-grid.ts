import type { TensorInfo } from '../checkpoint.js';
import { requireFinite, requireRows } from '../stored-tensor.js';
import type { TensorEntry } from '../tensor-entry.js';
import type { CompositeDtype } from '../tensor-types.js';

/** Weights that are on an integer grid already: weight = code * scale of its row and group. */
export interface WeightGrid {
  readonly rows: number;
  readonly columns: number;
  /** Groups a row has. */
  readonly groups: number;
  /** Stored integers less their zero point, rows x columns. */
  readonly codes: Int16Array;
  /** rows x groups. */
  readonly scales: Float32Array;
  /** The group of each column. */
  readonly groupOf: Int32Array;
  /** Columns of a group where groups are runs of columns, or null where they are not (act-order). */
  readonly groupSize: number | null;
}

/** Columns of a group where `groupOf` is runs of that many columns in order, or null. */
export function regularGroupSize(groupOf: Int32Array, groups: number): number | null {
  const size = Math.ceil(groupOf.length / groups);
  return groupOf.every((group, column) => group === Math.floor(column / size)) ? size : null;
}

/**
 * The entry of a matrix [rows, columns] whose grid is unpacked as a whole when it is first read. One grid is held at a
 * time: matrices are read one after the other, in blocks of rows.
 */
export function gridEntry(
  holder: GridHolder,
  tensor: {
    readonly name: string;
    readonly dtype: CompositeDtype;
    readonly shape: readonly [number, number];
    readonly path: string;
    readonly storedBytes: number;
  },
  unpack: () => WeightGrid,
): TensorEntry {
  const { name, dtype, shape, storedBytes } = tensor;
  const info: TensorInfo = { name, dtype, shape, storedBytes };
  const grid = () => holder.hold(name, unpack);
  return {
    ...tensor,
    grid,
    readRows(firstRow, rowCount) {
      requireRows(info, firstRow, rowCount);
      const out = new Float32Array(rowCount * shape[1]);
      const { columns, groups, codes, scales, groupOf } = grid();
      for (let r = 0; r < rowCount; r++) {
        const row = firstRow + r;
        for (let c = 0; c < columns; c++) {
          out[r * columns + c] = codes[row * columns + c]! * scales[row * groups + groupOf[c]!]!;
        }
      }
      requireFinite(info, tensor.path, firstRow * columns, out);
      return out;
    },
  };
}

/** Holds the grid that was unpacked last. */
export class GridHolder {
  private name: string | null = null;
  private grid: WeightGrid | null = null;

  hold(name: string, unpack: () => WeightGrid): WeightGrid {
    if (this.name !== name || this.grid === null) {
      this.grid = null;
      this.grid = unpack();
      this.name = name;
    }
    return this.grid;
  }
}
