/** Writes GGUF files after docs/gguf.md of ggml, sharing nothing with the reader. */

/** A metadata value with its type; arrays name that of their items. */
export type Value =
  | { readonly u8: number }
  | { readonly u32: number }
  | { readonly i32: number }
  | { readonly f32: number }
  | { readonly u64: bigint }
  | { readonly f64: number }
  | { readonly bool: boolean }
  | { readonly text: string }
  | { readonly texts: readonly (string | Uint8Array)[] }
  | { readonly floats: readonly number[] }
  | { readonly ints: readonly number[] };

export interface WrittenTensor {
  readonly name: string;
  /** Outermost first, as everywhere but in the file. */
  readonly shape: readonly number[];
  readonly type: number;
  readonly bytes: Uint8Array;
}

export interface WrittenGguf {
  readonly bytes: Buffer;
  /** Where fields and structures begin. */
  readonly boundaries: number[];
}

class Writer {
  readonly parts: Buffer[] = [];
  readonly boundaries: number[] = [];
  size = 0;

  put(bytes: Uint8Array): void {
    this.boundaries.push(this.size);
    this.parts.push(Buffer.from(bytes));
    this.size += bytes.length;
  }

  u32(value: number): void {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value >>> 0);
    this.put(bytes);
  }

  u64(value: number | bigint): void {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(value));
    this.put(bytes);
  }

  text(value: string | Uint8Array): void {
    const bytes = typeof value === 'string' ? Buffer.from(value) : value;
    this.u64(bytes.length);
    this.put(bytes);
  }

  value(value: Value): void {
    if ('u8' in value) {
      this.u32(0);
      this.put(Uint8Array.of(value.u8));
    } else if ('u32' in value) {
      this.u32(4);
      this.u32(value.u32);
    } else if ('i32' in value) {
      this.u32(5);
      this.u32(value.i32);
    } else if ('f32' in value) {
      this.u32(6);
      this.put(new Uint8Array(Float32Array.of(value.f32).buffer));
    } else if ('bool' in value) {
      this.u32(7);
      this.put(Uint8Array.of(value.bool ? 1 : 0));
    } else if ('text' in value) {
      this.u32(8);
      this.text(value.text);
    } else if ('u64' in value) {
      this.u32(10);
      this.u64(value.u64);
    } else if ('f64' in value) {
      this.u32(12);
      this.put(new Uint8Array(Float64Array.of(value.f64).buffer));
    } else this.array(value);
  }

  private array(value: Extract<Value, { texts: unknown } | { floats: unknown } | { ints: unknown }>): void {
    this.u32(9);
    if ('texts' in value) {
      this.u32(8);
      this.u64(value.texts.length);
      for (const text of value.texts) this.text(text);
    } else if ('floats' in value) {
      this.u32(6);
      this.u64(value.floats.length);
      this.put(new Uint8Array(Float32Array.from(value.floats).buffer));
    } else {
      this.u32(5);
      this.u64(value.ints.length);
      this.put(new Uint8Array(Int32Array.from(value.ints).buffer));
    }
  }
}

export function writeGguf(
  metadata: Readonly<Record<string, Value>>,
  tensors: readonly WrittenTensor[],
  { version = 3, alignment = 32 } = {},
): WrittenGguf {
  const out = new Writer();
  out.put(Buffer.from('GGUF'));
  out.u32(version);
  out.u64(tensors.length);
  out.u64(Object.keys(metadata).length);
  for (const [key, value] of Object.entries(metadata)) {
    out.text(key);
    out.value(value);
  }
  const aligned = (value: number) => Math.ceil(value / alignment) * alignment;
  let offset = 0;
  for (const { name, shape, type, bytes } of tensors) {
    out.text(name);
    out.u32(shape.length);
    for (const size of [...shape].reverse()) out.u64(size);
    out.u32(type);
    out.u64(offset);
    offset = aligned(offset + bytes.length);
  }
  const header = Buffer.concat([...out.parts, Buffer.alloc(aligned(out.size) - out.size)]);
  const data: Buffer[] = [];
  for (const [i, { bytes }] of tensors.entries()) {
    const last = i === tensors.length - 1;
    data.push(Buffer.from(bytes), Buffer.alloc(last ? 0 : aligned(bytes.length) - bytes.length));
  }
  return { bytes: Buffer.concat([header, ...data]), boundaries: [...out.boundaries, header.length] };
}
