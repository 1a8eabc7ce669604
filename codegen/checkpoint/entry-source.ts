import type { TensorEntry } from './tensor-entry.js';
import type { TensorSource } from './tensor-source.js';

/** The tensors of files that were opened, as a source of rows. `where` names file or folder. */
export function entrySource(where: string, entries: ReadonlyMap<string, TensorEntry>): TensorSource {
  return {
    where,
    tensors: entries,
    readRows: (name, firstRow, rowCount) => entries.get(name)!.readRows(firstRow, rowCount),
  };
}
