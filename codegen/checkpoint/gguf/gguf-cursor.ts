import { EmbedError } from '../../diagnostics/error.js';
import type { BoundedFile } from '../bounded-file.js';

const chunkBytes = 1 << 20;

/** Reads a GGUF header from front to back, in bounded pieces. Every read beyond the end throws EM1034. */
export class GgufCursor {
  private chunk = new Uint8Array(0);
  private view = new DataView(this.chunk.buffer);
  private chunkStart = 0;
  private at = 0;

  constructor(private readonly file: BoundedFile) {}

  /** Bytes from the start of the file. */
  get offset(): number {
    return this.at;
  }

  /** Bytes that are left. */
  get left(): number {
    return this.file.size - this.at;
  }

  u8(): number {
    const at = this.take(1);
    return this.view.getUint8(at);
  }

  i8(): number {
    const at = this.take(1);
    return this.view.getInt8(at);
  }

  u16(): number {
    const at = this.take(2);
    return this.view.getUint16(at, true);
  }

  i16(): number {
    const at = this.take(2);
    return this.view.getInt16(at, true);
  }

  u32(): number {
    const at = this.take(4);
    return this.view.getUint32(at, true);
  }

  i32(): number {
    const at = this.take(4);
    return this.view.getInt32(at, true);
  }

  f32(): number {
    const at = this.take(4);
    return this.view.getFloat32(at, true);
  }

  f64(): number {
    const at = this.take(8);
    return this.view.getFloat64(at, true);
  }

  u64(): bigint {
    const at = this.take(8);
    return this.view.getBigUint64(at, true);
  }

  i64(): bigint {
    const at = this.take(8);
    return this.view.getBigInt64(at, true);
  }

  /** A u64 that counts things of at least `least` bytes each that follow; at most `most` of them. */
  count(what: string, least: number, most: number): number {
    const value = this.u64();
    const possible = Math.min(most, Math.floor(this.left / least));
    if (value > BigInt(possible))
      throw this.damaged(`${what} is ${value}; at most ${possible} are possible here`);
    return Number(value);
  }

  /** A length and so many bytes of text. Bytes that are no UTF-8 become U+FFFD: tokenizers may hold such. */
  text(what: string, most: number): string {
    return Buffer.from(this.raw(what, most)).toString('utf8');
  }

  /** A length and so many bytes. */
  raw(what: string, most: number): Uint8Array {
    const length = this.count(`length of ${what}`, 1, most);
    const start = this.take(length);
    return this.chunk.slice(start, start + length);
  }

  damaged(why: string): EmbedError {
    return new EmbedError('EM1034', { where: this.file.path, why: `at byte ${this.at}: ${why}` });
  }

  /** Position within the chunk of `bytes` bytes that are there; may replace the chunk and its view. */
  private take(bytes: number): number {
    if (bytes > this.left)
      throw this.damaged(`the file ends at byte ${this.file.size}, ${bytes} more are needed`);
    let start = this.at - this.chunkStart;
    if (start + bytes > this.chunk.length) {
      this.chunk = new Uint8Array(Math.min(Math.max(chunkBytes, bytes), this.left));
      this.view = new DataView(this.chunk.buffer);
      this.file.read(this.at, this.chunk);
      this.chunkStart = this.at;
      start = 0;
    }
    this.at += bytes;
    return start;
  }
}
