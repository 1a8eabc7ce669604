import { openCheckpoint } from '../../../codegen/checkpoint/open.js';

/** Opens a checkpoint and reads all of its tensors. */
export function readEverything(path: string): void {
  const checkpoint = openCheckpoint(path);
  try {
    for (const { name, shape } of checkpoint.tensors.values()) checkpoint.readRows(name, 0, shape[0] ?? 1);
  } finally {
    checkpoint.close();
  }
}
