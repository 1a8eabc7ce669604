import { closeSync, ftruncateSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { BoundedFile } from '../../../codegen/checkpoint/bounded-file.js';
import { readSafetensorsHeader } from '../../../codegen/checkpoint/safetensors.js';
import { readStoredRows, type StoredTensor } from '../../../codegen/checkpoint/stored-tensor.js';
import { expectError } from './expect-error.js';
import { encodeFloats, exactValues, frame, type HeaderEdit, writeSafetensors } from './safetensors-writer.js';

const two = {
  a: { dtype: 'F32', shape: [2, 3], data: Buffer.alloc(24, 1) },
  b: { dtype: 'F16', shape: [4], data: Buffer.alloc(8, 2) },
};

t.test('header: what must be refused', (t) => {
  const folder = t.testdir();
  const path = join(folder, 'model.safetensors');
  const read = (bytes: Uint8Array) => () => {
    writeFileSync(path, bytes);
    const file = BoundedFile.open(path);
    try {
      readSafetensorsHeader(file);
    } finally {
      file.close();
    }
  };
  const edited = (edit: HeaderEdit) => read(writeSafetensors(two, edit));
  const length = (value: bigint) => {
    const bytes = writeSafetensors(two);
    bytes.writeBigUInt64LE(value);
    return read(bytes);
  };

  expectError(t, 'EM1011', /has 0 bytes/, read(Buffer.alloc(0)));
  expectError(t, 'EM1011', /has 7 bytes/, read(Buffer.alloc(7)));
  expectError(t, 'EM1011', /a: its data ends|b: its data ends/, read(writeSafetensors(two).subarray(0, -1)));
  expectError(t, 'EM1009', /header length is 4096/, length(4096n));
  expectError(t, 'EM1009', /header length is 18446744073709551615/, length(2n ** 64n - 1n));
  expectError(t, 'EM1009', /not JSON/, length(9n));
  expectError(t, 'EM1009', /not JSON/, read(frame('{"a":')));
  expectError(t, 'EM1009', /not JSON/, read(frame('\ufeff{}')));
  expectError(t, 'EM1009', /not a JSON object/, read(frame('[1]')));
  expectError(
    t,
    'EM1009',
    /not UTF-8/,
    read(Buffer.concat([frame('').fill(2, 0, 1), Buffer.from([0xc3, 0x28])])),
  );
  expectError(
    t,
    'EM1009',
    /"a" stands twice/,
    read(frame('{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"a":{}}')),
  );
  expectError(t, 'EM1009', /a: its entry is not an object/, read(frame('{"a":1}')));
  expectError(t, 'EM1009', /has 600 characters/, read(frame(JSON.stringify({ ['n'.repeat(600)]: {} }))));
  expectError(
    t,
    'EM1009',
    /dtype is not/,
    edited((h) => delete (h.a as Partial<typeof h.a>)!.dtype),
  );
  expectError(
    t,
    'EM1009',
    /shape is not/,
    edited((h) => Object.assign(h.a!, { shape: [2, -3] })),
  );
  expectError(
    t,
    'EM1009',
    /shape is not/,
    edited((h) => Object.assign(h.a!, { shape: [2, 1.5] })),
  );
  expectError(
    t,
    'EM1009',
    /data_offsets is not/,
    edited((h) => Object.assign(h.a!, { data_offsets: [24, 0] })),
  );
  expectError(
    t,
    'EM1009',
    /data_offsets is not/,
    edited((h) => Object.assign(h.a!, { data_offsets: [0] })),
  );
  expectError(
    t,
    'EM1009',
    /data_offsets is not/,
    edited((h) => Object.assign(h.a!, { data_offsets: [0, 2 ** 53] })),
  );
  expectError(
    t,
    'EM1013',
    /span 24 bytes; F32 \[2, 4\] needs 32/,
    edited((h) => Object.assign(h.a!, { shape: [2, 4] })),
  );
  expectError(
    t,
    'EM1013',
    /overflows/,
    edited((h) => Object.assign(h.a!, { shape: [2 ** 40, 2 ** 40] })),
  );
  expectError(
    t,
    'EM1013',
    /overflows/,
    edited((h) => Object.assign(h.a!, { shape: [2 ** 40, 2 ** 40, 0] })),
  );
  expectError(
    t,
    'EM1013',
    /whole bytes/,
    edited((h) => Object.assign(h.a!, { dtype: 'F4', shape: [3] })),
  );
  expectError(
    t,
    'EM1014',
    /unknown dtype "F31"/,
    edited((h) => Object.assign(h.a!, { dtype: 'F31' })),
  );
  expectError(
    t,
    'EM1012',
    /a ends at byte \d+, b begins/,
    edited((h) => Object.assign(h.b!, { data_offsets: [22, 30] })),
  );
  t.end();
});

t.test('header: holes, empty tensors, metadata and unread types are allowed', (t) => {
  const path = join(t.testdir(), 'model.safetensors');
  const tensors = {
    ...two,
    none: { dtype: 'F32', shape: [0, 7], data: Buffer.alloc(0) },
    mask: { dtype: 'BOOL', shape: [3], data: Buffer.alloc(3) },
    scalar: { dtype: 'I64', shape: [], data: Buffer.alloc(8) },
    gap: { dtype: 'U8', shape: [5], data: Buffer.alloc(5) },
    last: { dtype: 'F32', shape: [1], data: Buffer.alloc(4) },
  };
  writeFileSync(
    path,
    writeSafetensors(tensors, (header) => {
      delete header.gap;
      Object.assign(header, { __metadata__: { format: 'pt' } });
    }),
  );
  const file = BoundedFile.open(path);
  t.teardown(() => file.close());
  const entries = readSafetensorsHeader(file);
  t.strictSame([...entries.keys()], ['a', 'b', 'none', 'mask', 'scalar', 'last']);
  t.equal(entries.get('last')!.offset, file.size - 4);
  t.strictSame(
    [...entries.values()].map((entry) => entry.bytes),
    [24, 8, 0, 3, 8, 4],
  );
  t.end();
});

t.test('files of an independent writer are read back exactly, any rows of any type', (t) => {
  const path = join(t.testdir(), 'model.safetensors');
  const dtype = fc.constantFrom('F32' as const, 'F16' as const, 'BF16' as const);
  const anyValue = {
    F32: fc.float({ noNaN: true, noDefaultInfinity: true }),
    // Significand and exponent of a binary16, subnormals included, and of a bfloat16 away from the ends of
    // its range.
    F16: fc
      .tuple(fc.integer({ min: -2047, max: 2047 }), fc.integer({ min: -24, max: 5 }))
      .map(([m, e]) => m * 2 ** e),
    BF16: fc
      .tuple(fc.integer({ min: -255, max: 255 }), fc.integer({ min: -100, max: 100 }))
      .map(([m, e]) => m * 2 ** e),
  };
  const tensor = fc.record({
    dtype,
    rows: fc.integer({ min: 1, max: 9 }),
    columns: fc.integer({ min: 1, max: 17 }),
  });
  const filled = tensor.chain(({ dtype, rows, columns }) =>
    fc.record({
      dtype: fc.constant(dtype),
      shape: fc.constant(columns === 1 ? [rows] : [rows, columns]),
      values: fc.array(anyValue[dtype], { minLength: rows * columns, maxLength: rows * columns }),
      first: fc.nat({ max: rows - 1 }),
    }),
  );
  fc.assert(
    fc.property(fc.dictionary(fc.string({ minLength: 1 }), filled, { minKeys: 1, maxKeys: 6 }), (model) => {
      const tensors = Object.entries(model).map(([name, { dtype, shape, values }]) => {
        return [name, { dtype, shape, data: encodeFloats(dtype, Float32Array.from(values)) }] as const;
      });
      writeFileSync(path, writeSafetensors(Object.fromEntries(tensors)));
      const file = BoundedFile.open(path);
      try {
        const entries = readSafetensorsHeader(file);
        return Object.entries(model).every(([name, { dtype, shape, values, first }]) => {
          const { offset } = entries.get(name)!;
          const stored: StoredTensor = { info: { name, dtype, shape }, file, offset };
          const rows = readStoredRows(stored, first, shape[0]! - first);
          const expected = values.slice(first * (shape[1] ?? 1));
          return rows.length === expected.length && rows.every((value, i) => Object.is(value, expected[i]));
        });
      } finally {
        file.close();
      }
    }),
    { seed: 3, numRuns: 300 },
  );
  t.end();
});

t.test('rows beyond a tensor are a mistake of the caller', (t) => {
  const path = join(t.testdir(), 'model.safetensors');
  writeFileSync(path, writeSafetensors(two));
  const file = BoundedFile.open(path);
  const stored: StoredTensor = { info: { name: 'a', dtype: 'F32', shape: [2, 3] }, file, offset: 8 };
  t.equal(readStoredRows(stored, 2, 0).length, 0);
  for (const [first, count] of [
    [0, 3],
    [2, 1],
    [-1, 1],
    [0, -1],
    [0.5, 1],
    [NaN, 1],
  ] as const) {
    t.throws(() => readStoredRows(stored, first, count), RangeError, `${first} + ${count}`);
  }
  file.close();
  expectError(t, 'EM1001', /closed/, () => readStoredRows(stored, 0, 1));
  t.end();
});

t.test('a tensor that takes several reads is whole', (t) => {
  const path = join(t.testdir(), 'model.safetensors');
  const shape = [1201, 1000];
  const values = exactValues(1201 * 1000, 5);
  const [f32, bf16] = (['F32', 'BF16'] as const).map((dtype) => ({
    dtype,
    shape,
    data: encodeFloats(dtype, values),
  }));
  writeFileSync(path, writeSafetensors({ f32: f32!, bf16: bf16! }));
  const file = BoundedFile.open(path);
  t.teardown(() => file.close());
  const entries = readSafetensorsHeader(file);
  for (const dtype of ['F32', 'BF16'] as const) {
    const { name, offset } = entries.get(dtype.toLowerCase())!;
    const rows = readStoredRows({ info: { name, dtype, shape }, file, offset }, 1, 1200);
    t.equal(
      rows.findIndex((value, i) => value !== values[1000 + i]),
      -1,
      dtype,
    );
    t.equal(rows.length, 1_200_000);
  }
  t.end();
});

t.test('one row of a tensor of 2 GiB is read without the rest', (t) => {
  const path = join(t.testdir(), 'model.safetensors');
  const shape = [1 << 17, 1 << 12];
  const bytes = 4 * shape[0]! * shape[1]!;
  const header = frame(JSON.stringify({ big: { dtype: 'F32', shape, data_offsets: [0, bytes] } }));
  // Sparse: takes no room where the file system has holes.
  const handle = openSync(path, 'w');
  writeSync(handle, header);
  ftruncateSync(handle, header.length + bytes);
  writeSync(handle, encodeFloats('F32', Float32Array.of(1.5)), 0, 4, header.length + bytes - 4);
  closeSync(handle);

  const before = process.memoryUsage().rss;
  const file = BoundedFile.open(path);
  t.teardown(() => file.close());
  const { offset } = readSafetensorsHeader(file).get('big')!;
  const rows = readStoredRows({ info: { name: 'big', dtype: 'F32', shape }, file, offset }, shape[0]! - 1, 1);
  t.equal(rows.at(-1), 1.5);
  t.equal(rows[0], 0);
  t.ok(process.memoryUsage().rss - before < 64 << 20, 'the process grew by less than 64 MiB');
  t.end();
});
