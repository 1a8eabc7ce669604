/** Writes files of torch.save: a pickle of protocol 2 and raw storages in a zip archive, sharing nothing with the reader. */
import { crc32 } from './crc32.js';

/** A tensor to be saved: its elements are a member of their own unless two tensors share one. */
export class SavedTensor {
  constructor(
    readonly storage: string,
    readonly data: Uint8Array,
    readonly shape: readonly number[],
    readonly options: {
      readonly strides?: readonly number[];
      readonly offset?: number;
      readonly member?: string;
    } = {},
  ) {}
}

/** A name with arguments that are called, as a pickle may ask for. */
export class SavedCall {
  constructor(
    readonly module: string,
    readonly name: string,
    readonly args: readonly unknown[],
  ) {}
}

const elementBytes: Record<string, number> = {
  DoubleStorage: 8,
  FloatStorage: 4,
  HalfStorage: 2,
  BFloat16Storage: 2,
  LongStorage: 8,
  BoolStorage: 1,
};

class Pickler {
  readonly parts: Buffer[] = [Buffer.from([0x80, 2])];
  readonly members = new Map<string, Uint8Array>();
  private memo = 0;

  put(...bytes: number[]): void {
    this.parts.push(Buffer.from(bytes));
  }

  global(module: string, name: string): void {
    this.parts.push(Buffer.from(`c${module}\n${name}\n`, 'latin1'));
    this.remember();
  }

  /** BINPUT or LONG_BINPUT, as Python's pickler writes after everything it may need again. */
  remember(): void {
    const index = this.memo++;
    if (index < 256) this.put(0x71, index);
    else {
      this.put(0x72);
      this.u32(index);
    }
  }

  u32(value: number): void {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    this.parts.push(bytes);
  }

  tuple(items: readonly unknown[]): void {
    if (items.length === 0) {
      this.put(0x29);
      return;
    }
    if (items.length > 3) this.put(0x28);
    for (const item of items) this.value(item);
    this.put(items.length > 3 ? 0x74 : 0x84 + items.length);
    this.remember();
  }

  value(value: unknown): void {
    if (value === null) this.put(0x4e);
    else if (typeof value === 'boolean') this.put(value ? 0x88 : 0x89);
    else if (typeof value === 'number') this.number(value);
    else if (typeof value === 'string') this.text(value);
    else if (value instanceof SavedTensor) this.tensor(value);
    else if (value instanceof SavedCall) this.call(value);
    else if (Array.isArray(value)) {
      this.put(0x5d);
      this.remember();
      this.put(0x28);
      for (const item of value) this.value(item);
      this.put(0x65);
    } else this.dict(value as object);
  }

  dict(value: object): void {
    this.put(0x7d);
    this.remember();
    this.put(0x28);
    for (const [key, item] of Object.entries(value)) {
      this.value(key);
      this.value(item);
    }
    this.put(0x75);
  }

  text(value: string): void {
    const bytes = Buffer.from(value);
    this.put(0x58);
    this.u32(bytes.length);
    this.parts.push(bytes);
    this.remember();
  }

  number(value: number): void {
    if (Number.isInteger(value) && value >= 0 && value < 256) this.put(0x4b, value);
    else if (Number.isInteger(value) && value >= 0 && value < 65536) this.put(0x4d, value & 255, value >> 8);
    else if (Number.isInteger(value)) {
      this.put(0x4a);
      this.u32(value >>> 0);
    } else {
      const bytes = Buffer.alloc(8);
      bytes.writeDoubleBE(value);
      this.put(0x47);
      this.parts.push(bytes);
    }
  }

  tensor({ storage, data, shape, options }: SavedTensor): void {
    const key = options.member ?? String(this.members.size);
    this.members.set(key, data);
    const strides = shape.map((_, i) => shape.slice(i + 1).reduce((product, size) => product * size, 1));
    this.global('torch._utils', '_rebuild_tensor_v2');
    this.put(0x28, 0x28);
    this.text('storage');
    this.global('torch', storage);
    this.text(key);
    this.text('cpu');
    this.number(data.length / elementBytes[storage]!);
    this.put(0x74);
    this.remember();
    this.put(0x51);
    this.number(options.offset ?? 0);
    this.tuple(shape);
    this.tuple(options.strides ?? strides);
    this.put(0x89);
    this.global('collections', 'OrderedDict');
    this.put(0x29, 0x52, 0x74, 0x52);
    this.remember();
  }

  call({ module, name, args }: SavedCall): void {
    this.global(module, name);
    this.tuple(args);
    this.put(0x52);
  }
}

export interface ZipOptions {
  /** Changes the members before they are put together. */
  readonly members?: (members: Map<string, Uint8Array>) => void;
  readonly method?: number;
}

/** The bytes of a file, and where its structures begin. */
export function writePytorch(
  value: unknown,
  options: ZipOptions = {},
): { bytes: Buffer; boundaries: number[] } {
  const pickler = new Pickler();
  pickler.value(value);
  pickler.put(0x2e);
  const members = new Map<string, Uint8Array>([
    ['archive/data.pkl', Buffer.concat(pickler.parts)],
    ['archive/byteorder', Buffer.from('little')],
  ]);
  for (const [key, data] of pickler.members) members.set(`archive/data/${key}`, data);
  members.set('archive/version', Buffer.from('3\n'));
  options.members?.(members);
  return writeZip(members, options.method ?? 0);
}

export function writeZip(
  members: ReadonlyMap<string, Uint8Array>,
  method = 0,
): { bytes: Buffer; boundaries: number[] } {
  const parts: Buffer[] = [];
  const central: Buffer[] = [];
  const boundaries: number[] = [];
  let at = 0;
  const put = (list: Buffer[], bytes: Buffer) => {
    list.push(bytes);
    if (list === parts) at += bytes.length;
  };
  for (const [name, data] of members) {
    // torch.save fills the extra field so that data begins at a multiple of 64.
    const padding = (64 - ((at + 30 + name.length + 4) % 64)) % 64;
    const local = Buffer.alloc(30 + name.length + 4 + padding);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(method, 8);
    local.writeUInt32LE(crc32(data), 14);
    local.writeUInt32LE(data.length, 18);
    local.writeUInt32LE(data.length, 22);
    local.writeUInt16LE(name.length, 26);
    local.writeUInt16LE(4 + padding, 28);
    local.write(name, 30, 'latin1');
    local.writeUInt16LE(0x4246, 30 + name.length);
    local.writeUInt16LE(padding, 32 + name.length);
    const entry = Buffer.alloc(46 + name.length);
    entry.writeUInt32LE(0x02014b50, 0);
    entry.writeUInt16LE(method, 10);
    entry.writeUInt32LE(crc32(data), 16);
    entry.writeUInt32LE(data.length, 20);
    entry.writeUInt32LE(data.length, 24);
    entry.writeUInt16LE(name.length, 28);
    entry.writeUInt32LE(at, 42);
    entry.write(name, 46, 'latin1');
    central.push(entry);
    boundaries.push(at);
    put(parts, local);
    boundaries.push(at);
    put(parts, Buffer.from(data));
  }
  const directory = Buffer.concat(central);
  let entryAt = at;
  for (const entry of central) {
    boundaries.push(
      entryAt,
      entryAt + 10,
      entryAt + 20,
      entryAt + 24,
      entryAt + 28,
      entryAt + 30,
      entryAt + 42,
    );
    entryAt += entry.length;
  }
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(members.size, 8);
  end.writeUInt16LE(members.size, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(at, 16);
  boundaries.push(entryAt, entryAt + 10, entryAt + 12, entryAt + 16, entryAt + 20);
  return { bytes: Buffer.concat([...parts, directory, end]), boundaries };
}
