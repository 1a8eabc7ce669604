import type { SafetensorsEntry } from './safetensors.js';
import { readStoredRows } from './stored-tensor.js';
import { readableDtype, type TensorSource } from './tensor-source.js';

/** The tensors of safetensors files that were opened, as a source of rows. `where` names file or folder. */
export function safetensorsSource(
  where: string,
  entries: ReadonlyMap<string, SafetensorsEntry>,
): TensorSource {
  const source: TensorSource = {
    where,
    tensors: entries,
    readRows(name, firstRow, rowCount) {
      const { file, offset, shape } = entries.get(name)!;
      const info = { name, dtype: readableDtype(source, name), shape };
      return readStoredRows({ info, file, offset }, firstRow, rowCount);
    },
  };
  return source;
}
