import { EmbedError } from '../diagnostics/error.js';

/** A field of a message: `value` of a varint, the place of anything else. */
export interface ProtobufField {
  readonly number: number;
  /** 0 varint, 1 eight bytes, 2 a length and bytes, 5 four bytes. */
  readonly wireType: number;
  readonly value: number;
  readonly start: number;
  readonly end: number;
}

/** Reads the wire format of protocol buffers (https://protobuf.dev/programming-guides/encoding/). Throws EM1102. */
export class ProtobufReader {
  private readonly view: DataView;

  constructor(
    private readonly content: Uint8Array,
    private readonly file: string,
  ) {
    this.view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  }

  /** All fields in their order. */
  *fields(): Generator<ProtobufField> {
    for (let at = 0; at < this.content.length; ) {
      const key = this.varint(at);
      const [number, wireType] = [Math.floor(key.value / 8), key.value % 8];
      if (number === 0) throw this.damaged('a field has number 0');
      const field = this.fieldAt(number, wireType, key.end);
      yield field;
      at = field.end;
    }
  }

  bytes(field: ProtobufField): Uint8Array {
    this.requireWireType(field, 2);
    return this.content.subarray(field.start, field.end);
  }

  nested(field: ProtobufField): ProtobufReader {
    return new ProtobufReader(this.bytes(field), this.file);
  }

  float(field: ProtobufField): number {
    this.requireWireType(field, 5);
    return this.view.getFloat32(field.start, true);
  }

  /** An int32: negative ones are written as 64-bit two's complement. */
  integer(field: ProtobufField): number {
    this.requireWireType(field, 0);
    return field.value | 0;
  }

  damaged(why: string): EmbedError {
    return new EmbedError('EM1102', { where: this.file, why });
  }

  private requireWireType({ number, wireType }: ProtobufField, expected: number): void {
    if (wireType !== expected)
      throw this.damaged(`field ${number} is of wire type ${wireType}, not ${expected}`);
  }

  private fieldAt(number: number, wireType: number, at: number): ProtobufField {
    const fixed = wireType === 1 ? 8 : wireType === 5 ? 4 : null;
    if (wireType === 0) {
      const { value, end } = this.varint(at);
      return { number, wireType, value, start: at, end };
    }
    if (wireType !== 2 && fixed === null) throw this.damaged(`field ${number} is of wire type ${wireType}`);
    const length = fixed === null ? this.varint(at) : { value: fixed, end: at };
    const end = length.end + length.value;
    if (end > this.content.length) {
      throw this.damaged(
        `field ${number} of ${length.value} bytes runs over the end of ${this.content.length}`,
      );
    }
    return { number, wireType, value: 0, start: length.end, end };
  }

  /** The low 32 bits signed, all of it where it fits a safe integer. */
  private varint(at: number): { value: number; end: number } {
    let value = 0n;
    for (let i = 0; i < 10; i++) {
      if (at + i >= this.content.length) throw this.damaged('ends within a number');
      const byte = this.content[at + i]!;
      value |= BigInt(byte & 127) << BigInt(7 * i);
      if (byte < 128) {
        const signed = BigInt.asIntN(64, value);
        return { value: Number(signed < 0n ? BigInt.asIntN(32, signed) : signed), end: at + i + 1 };
      }
    }
    throw this.damaged('a number does not end');
  }
}
