import { closeSync, openSync, writeSync } from 'node:fs';

/** A tensor to be written; its bytes are made when its turn comes. */
export interface PlannedTensor {
  readonly name: string;
  readonly dtype: 'F32' | 'I32' | 'I64';
  readonly shape: readonly number[];
  readonly bytes: () => Uint8Array;
}

const elementBytes = { F32: 4, I32: 4, I64: 8 } as const;

/**
 * Writes a safetensors file (https://github.com/huggingface/safetensors, section Format), one tensor at a time: of the
 * weights no more than one tensor is held.
 */
export function writeSafetensorsFile(path: string, tensors: readonly PlannedTensor[]): void {
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  let offset = 0;
  for (const { name, dtype, shape } of tensors) {
    const end = offset + shape.reduce((product, size) => product * size, elementBytes[dtype]);
    header[name] = { dtype, shape, data_offsets: [offset, end] };
    offset = end;
  }
  const json = Buffer.from(JSON.stringify(header));
  const padded = Buffer.alloc(Math.ceil(json.length / 8) * 8, ' ');
  json.copy(padded);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  const file = openSync(path, 'wx');
  try {
    writeAll(file, Buffer.concat([length, padded]));
    for (const { name, dtype, shape, bytes } of tensors) {
      const content = bytes();
      const expected = shape.reduce((product, size) => product * size, elementBytes[dtype]);
      if (content.length !== expected)
        throw new Error(`${name} has ${content.length} bytes, not ${expected}`);
      writeAll(file, content);
    }
  } finally {
    closeSync(file);
  }
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
}
