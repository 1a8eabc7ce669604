import { rowsAndColumns } from './stored-tensor.js';
import type { TensorEntry } from './tensor-entry.js';

/**
 * Where row `row` of a q or k matrix stands in a file that rotates pairs. llama2.c and GGUF files of the llama
 * architecture rotate elements 2j and 2j + 1 of a head, the Hugging Face names imply j and j + headDim / 2:
 * the rows of each head change places, and every dot product of a query and a key stays what it was.
 */
export function storedRopeRow(row: number, headDim: number): number {
  const half = headDim / 2;
  const within = row % headDim;
  return row - within + (within < half ? 2 * within : 2 * (within - half) + 1);
}

/** The rows of a q or k matrix that is stored for pairs, in the order for halves. */
export function rowsInHalves(entry: TensorEntry, headDim: number): TensorEntry {
  const [, columns] = rowsAndColumns(entry.shape);
  return {
    ...entry,
    readRows(firstRow, rowCount) {
      const out = new Float32Array(rowCount * columns);
      for (let i = 0; i < rowCount; i++) {
        out.set(entry.readRows(storedRopeRow(firstRow + i, headDim), 1), i * columns);
      }
      return out;
    },
  };
}
