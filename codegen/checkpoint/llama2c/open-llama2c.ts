import type { BoundedFile } from '../bounded-file.js';
import type { Checkpoint } from '../checkpoint.js';
import { FileCheckpoint } from '../file-checkpoint.js';
import { FileSet } from '../file-set.js';
import { storedRopeRow } from '../rope-row-order.js';
import { storedEntry, type TensorEntry } from '../tensor-entry.js';
import { groupQuantized, groupQuantizedBytes } from './group-quantized.js';
import { damaged, type Llama2cHeader, readLlama2cHeader } from './header.js';
import { legacyOrder, type PlacedTensor, versionedOrder } from './tensor-order.js';

/**
 * Opens a checkpoint of llama2.c: version 0 (legacy_export of its export.py), 1 (float32) or 2 (Q8_0, norms in
 * float32), all little-endian. Tensors get their Hugging Face names, and the rows of q and k the order that
 * goes with these names. Throws EM1001 for reading, EM1018 when header or size are not those of such a file,
 * EM1006 for limits.
 */
export function openLlama2c(path: string): Checkpoint {
  return FileSet.build((files) => {
    const file = files.open(path);
    const header = readLlama2cHeader(file);
    const placement = new Placement(file, header);
    if (header.version === 0) placeLegacy(placement, header);
    else placeVersioned(placement, header);
    placement.requireEnd();
    const text = `llama2.c version ${header.version}`;
    return new FileCheckpoint(path, 'llama2c', text, header.config, placement.entries, files);
  });
}

/** Puts tensors one after the other; the file must end where the last of them does. */
class Placement {
  readonly entries = new Map<string, TensorEntry>();
  private offset: number;

  constructor(
    private readonly file: BoundedFile,
    private readonly header: Llama2cHeader,
  ) {
    this.offset = header.bytes;
  }

  skip(bytes: number): void {
    this.offset += bytes;
  }

  floats({ name, shape, paired }: PlacedTensor): void {
    const { headDim } = this.header.config;
    const pairs = (row: number) => storedRopeRow(row, headDim);
    const tensor = { name, dtype: 'F32', shape };
    this.entries.set(name, storedEntry(this.file, tensor, this.offset, paired ? pairs : undefined));
    this.offset += 4 * elementsOf(shape);
  }

  groups(tensor: PlacedTensor): void {
    const { config, groupSize } = this.header;
    const elements = elementsOf(tensor.shape);
    if (elements % groupSize !== 0) {
      throw damaged(
        this.file,
        `group_size ${groupSize} does not divide the ${elements} elements of ${tensor.name}`,
      );
    }
    this.entries.set(tensor.name, groupQuantized(this.file, tensor, config.headDim, groupSize, this.offset));
    this.offset += groupQuantizedBytes(elements, groupSize);
  }

  requireEnd(): void {
    if (this.offset === this.file.size) return;
    const why = `has ${this.file.size} bytes; a model of the sizes in its header has ${this.offset}`;
    throw damaged(this.file, why);
  }
}

function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

function placeLegacy(placement: Placement, { config, trainedContext }: Llama2cHeader): void {
  const { before, head } = legacyOrder(config);
  for (const tensor of before) placement.floats(tensor);
  // Cosines and sines of rope, [seq_len, headDim / 2] each, which run.c skips too.
  placement.skip(4 * trainedContext * config.headDim);
  for (const tensor of head) placement.floats(tensor);
}

function placeVersioned(placement: Placement, { config, version }: Llama2cHeader): void {
  const { norms, matrices } = versionedOrder(config);
  for (const norm of norms) placement.floats(norm);
  for (const matrix of matrices) {
    if (version === 1) placement.floats(matrix);
    else placement.groups(matrix);
  }
}
