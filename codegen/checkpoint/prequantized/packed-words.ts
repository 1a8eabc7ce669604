import { EmbedError } from '../../diagnostics/error.js';
import { decodeFloats } from '../float-decoding.js';
import { type SafetensorsEntry, showShape } from '../safetensors.js';

/** Bits of codes that divide a word of 32: others run over the ends of words, in ways that differ. */
export const packedBits: readonly number[] = [2, 4, 8];

/** The parts of one quantized matrix in the files, by the end of their names. */
export class QuantizedParts {
  constructor(
    readonly name: string,
    private readonly entries: ReadonlyMap<string, SafetensorsEntry>,
  ) {}

  has(part: string): boolean {
    return this.entries.has(`${this.name}.${part}`);
  }

  /** The file of the codes, for messages. */
  path(part: string): string {
    return this.require(part).path;
  }

  shape(part: string): readonly number[] {
    return this.require(part).shape;
  }

  /** Bytes of these parts together. */
  bytes(...parts: string[]): number {
    return parts.reduce((sum, part) => sum + (this.entries.get(`${this.name}.${part}`)?.bytes ?? 0), 0);
  }

  /** 32-bit words; `rows` and `columns` are what the shape must be. Throws EM1036. */
  words(part: string, ...shape: number[]): Int32Array {
    const entry = this.shaped(part, ['I32', 'U32'], shape);
    return new Int32Array(this.raw(entry).buffer);
  }

  /** Throws EM1036. */
  floats(part: string, ...shape: number[]): Float32Array {
    const entry = this.shaped(part, ['F16', 'BF16', 'F32'], shape);
    const out = new Float32Array(shape.reduce((product, size) => product * size, 1));
    // A scale that is no number shows in the weights, which are checked.
    decodeFloats(entry.dtype as 'F16' | 'BF16' | 'F32', this.raw(entry), out);
    return out;
  }

  fault(why: string): EmbedError {
    return new EmbedError('EM1036', { where: this.name, why });
  }

  private shaped(part: string, dtypes: readonly string[], shape: readonly number[]): SafetensorsEntry {
    const entry = this.require(part);
    if (!dtypes.includes(entry.dtype) || showShape(entry.shape) !== showShape(shape)) {
      const found = `${entry.dtype} ${showShape(entry.shape)}`;
      throw this.fault(`${part} is ${found}; expected: ${dtypes.join(' or ')} ${showShape(shape)}`);
    }
    return entry;
  }

  private require(part: string): SafetensorsEntry {
    const entry = this.entries.get(`${this.name}.${part}`);
    if (entry === undefined) throw this.fault(`${part} is missing`);
    return entry;
  }

  private raw(entry: SafetensorsEntry): Uint8Array {
    const bytes = new Uint8Array(entry.bytes);
    entry.file.read(entry.offset, bytes);
    return bytes;
  }
}
