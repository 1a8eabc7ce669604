import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { EmbedError } from '../../../codegen/diagnostics/error.js';
import { type BlobSection, readBlob, writeBlob } from '../../../codegen/layout/blob.js';
import { crc32c } from '../../../codegen/layout/crc32c.js';
import {
  type Compiler,
  compile,
  compilers,
  freestandingFlags,
  hostCompiler,
  root,
  run,
  runtimeFolder,
  sanitizerFlags,
  warningFlags,
} from '../c-compiler.js';

const here = join(root, 'test', 'templates', 'runtime');
const files = ['em_blob.c', 'em_crc32c.c', 'em_sha256.c', 'em_mem.c'];
const sources = files.slice(0, 3).map((name) => join(runtimeFolder, name));
const noCompiler = !hostCompiler && 'no gcc or clang here';
const folder = mkdtempSync(join(tmpdir(), 'embed-model-runtime-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

const status = { ok: 0, truncated: 4, magic: 5, checksum: 6, build: 7, table: 8, payload: 9 } as const;

/** Compiles a driver with the runtime, under sanitizers on the host. */
function buildDriver(name: string, compiler: Compiler): string {
  const program = join(folder, `${name}-${compiler.command}`);
  const instrument = compiler.emulator?.length === 0 ? sanitizerFlags : ['-O2', '-static'];
  const args = [...warningFlags, ...instrument, `-I${runtimeFolder}`, join(here, `${name}.c`), ...sources];
  compile(compiler, [...args, '-o', program]);
  return program;
}

/** Every compiler whose programs run here. */
const runnable = compilers.filter(({ emulator }) => emulator !== null);

function random(length: number): Uint8Array {
  return new Uint8Array(randomBytes(length));
}

function smallBlob(buildId: Uint8Array): Uint8Array {
  const sizes = [200, 64, 1, 130];
  const section = (bytes: number, index: number): BlobSection => ({
    name: `section.${index}`,
    format: index,
    layout: 1,
    rows: 10 + index,
    cols: 20,
    bytes,
    content: Uint8Array.from({ length: bytes }, (_, i) => (i * 17 + index) & 0xff),
  });
  return writeBlob({ buildId, sections: sizes.map(section) });
}

interface Case {
  readonly blob: Uint8Array;
  readonly expectedBytes: number;
  readonly expectedEntries: number;
  readonly expectedTableCrc: number;
  readonly buildId: Uint8Array;
}

/** What the code of this blob's own build expects. */
function ownCase(blob: Uint8Array): Case {
  const { blobBytes, entries, tableCrc32c, buildId } = readBlob(blob);
  return {
    blob,
    expectedBytes: blobBytes,
    expectedEntries: entries.length,
    expectedTableCrc: tableCrc32c,
    buildId,
  };
}

function encodeCase({ blob, expectedBytes, expectedEntries, expectedTableCrc, buildId }: Case): Buffer {
  const head = Buffer.alloc(24);
  head.writeBigUInt64LE(BigInt(blob.length), 0);
  head.writeBigUInt64LE(BigInt(expectedBytes), 8);
  head.writeUInt32LE(expectedEntries, 16);
  head.writeUInt32LE(expectedTableCrc, 20);
  return Buffer.concat([head, buildId, blob]);
}

/** Runs the cases through em_blob_check and, where it accepts, em_blob_verify. */
function checkAll(compiler: Compiler, program: string, cases: readonly Case[]): [number, number][] {
  const path = join(folder, 'cases.bin');
  writeFileSync(path, Buffer.concat(cases.map(encodeCase)));
  const lines = run([...(compiler.emulator ?? []), program, 'cases', path])
    .trim()
    .split('\n');
  return lines.map((line) => line.split(' ').map(Number) as [number, number]);
}

/** A copy with header bytes changed behind a right checksum. */
function altered(
  blob: Uint8Array,
  changes: readonly (readonly [offset: number, value: number])[],
): Uint8Array {
  const copy = blob.slice();
  const view = new DataView(copy.buffer);
  for (const [offset, value] of changes) view.setUint8(offset, value);
  const end =
    view.getBigUint64(32, true) > BigInt(copy.length) ? copy.length : Number(view.getBigUint64(32, true));
  const before = crc32c(copy.subarray(0, 104));
  view.setUint32(104, crc32c(copy.subarray(108, end), crc32c(new Uint8Array(4), before)), true);
  return copy;
}

for (const compiler of compilers) {
  t.test(`${compiler.name}: the runtime compiles without a warning and calls no library`, async (t) => {
    for (const level of ['-O2', '-O3']) {
      for (const name of files) {
        const object = join(folder, `${name}.o`);
        const flags = name === 'em_mem.c' ? warningFlags : freestandingFlags;
        compile(compiler, [
          ...flags,
          level,
          `-I${runtimeFolder}`,
          '-c',
          join(runtimeFolder, name),
          '-o',
          object,
        ]);
        const undefinedNames = run(['nm', '-u', object]).match(/\S+$/gm) ?? [];
        t.ok(
          undefinedNames.every((symbol) => symbol.startsWith('em_') || symbol.endsWith(':')),
          `${name} ${level}: ${undefinedNames.join(' ')}`,
        );
      }
    }
  });

  t.test(`${compiler.name}: checks of the blob and their hashes are small`, async (t) => {
    let bytes = 0;
    for (const source of sources) {
      const object = join(folder, 'size.o');
      compile(compiler, [...freestandingFlags, '-O2', `-I${runtimeFolder}`, '-c', source, '-o', object]);
      const [, text, data] = /^\s*(\d+)\s+(\d+)/m.exec(run(['size', object]))!;
      bytes += Number(text) + Number(data);
    }
    t.ok(bytes < 3072, `${bytes} bytes`);
  });
}

t.test('memory functions: no loop became a call of itself', { skip: noCompiler }, async (t) => {
  for (const compiler of compilers) {
    const object = join(folder, 'mem.o');
    for (const flags of [['-O3'], ['-O3', '-ffreestanding'], ['-Os'], ['-O3', '-funroll-loops']]) {
      compile(compiler, [...flags, '-std=c11', '-c', join(runtimeFolder, 'em_mem.c'), '-o', object]);
      const relocations = run(['readelf', '-r', '-W', object]);
      // The unwind tables name the sections of the functions, never the functions.
      t.notMatch(relocations, /\bmem(cpy|move|set|cmp)\b/, `${compiler.name} ${flags.join(' ')}`);
    }
  }
});

for (const compiler of runnable) {
  t.test(`${compiler.name}: memory functions do what the C library's do`, async (t) => {
    const names = ['memcpy', 'memmove', 'memset', 'memcmp'].map((name) => `-D${name}=em_test_${name}`);
    const object = join(folder, 'renamed-mem.o');
    const program = join(folder, `mem-${compiler.command}`);
    const host = compiler.emulator?.length === 0;
    const instrument = host ? sanitizerFlags : ['-O2', '-static'];
    compile(compiler, [
      ...warningFlags,
      ...instrument,
      ...names,
      '-c',
      join(runtimeFolder, 'em_mem.c'),
      '-o',
      object,
    ]);
    compile(compiler, [...warningFlags, ...instrument, join(here, 'mem_driver.c'), object, '-o', program]);
    t.match(run([...compiler.emulator!, program]), /^\d{6,}\n$/);
  });

  t.test(`${compiler.name}: CRC32C and SHA-256 against the standards and against Node`, async (t) => {
    const text = (value: string) => new TextEncoder().encode(value);
    // FIPS 180-4 examples, then messages of every length around one and two blocks.
    const published: [Uint8Array, string][] = [
      [text(''), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
      [text('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
      [
        text('abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq'),
        '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
      ],
      [text('a'.repeat(1_000_000)), 'cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0'],
    ];
    const messages = published.map(([message]) => message);
    for (let length = 0; length < 200; length++) messages.push(random(length));
    const path = join(folder, 'messages.bin');
    const encode = (message: Uint8Array) => {
      const length = Buffer.alloc(8);
      length.writeBigUInt64LE(BigInt(message.length));
      return Buffer.concat([length, message]);
    };
    writeFileSync(path, Buffer.concat(messages.map(encode)));
    const lines = run([...compiler.emulator!, buildDriver('digest_driver', compiler), path])
      .trim()
      .split('\n');
    t.equal(lines.length, 2 * messages.length);
    for (const [index, [, sha256]] of published.entries()) {
      t.equal(lines[2 * index].split(' ')[1], sha256, 'FIPS 180-4');
    }
    messages.forEach((message, index) => {
      const crc = crc32c(message).toString(16).padStart(8, '0');
      const expected = `${crc} ${createHash('sha256').update(message).digest('hex')}`;
      t.same(
        lines.slice(2 * index, 2 * index + 2),
        [expected, expected],
        `${message.length} bytes, whole and in pieces`,
      );
    });
  });

  t.test(`${compiler.name}: a blob altered in any byte is refused`, async (t) => {
    const path = join(folder, 'flips.bin');
    const { blob, ...expected } = ownCase(smallBlob(random(32)));
    writeFileSync(path, encodeCase({ blob, ...expected }));
    const [tried, accepted, check, verify] = run([
      ...compiler.emulator!,
      buildDriver('blob_driver', compiler),
      'flips',
      path,
    ])
      .trim()
      .split(' ')
      .map(Number);
    const { payloadOffset } = readBlob(blob);
    t.equal(tried, payloadOffset * 8 + (blob.length - payloadOffset) + blob.length + 63);
    t.equal(accepted, 0);
    t.same([check, verify], [status.ok, status.ok], 'and the same bytes unaltered are accepted');
  });
}

t.test('TypeScript and C agree on which blobs are good', { skip: noCompiler }, async (t) => {
  const compiler = hostCompiler!;
  const program = buildDriver('blob_driver', compiler);
  const good = smallBlob(random(32));
  const own = ownCase(good);

  t.test('a blob and the code of its build, or of another', async (t) => {
    const other = random(32);
    const cases: [string, number, Case][] = [
      ['its own', status.ok, own],
      [
        'more bytes can be read than the blob has',
        status.ok,
        { ...own, blob: Uint8Array.from([...good, 1, 2, 3]) },
      ],
      ['another build id', status.build, { ...own, buildId: other }],
      ['another size', status.table, { ...own, expectedBytes: good.length + 64 }],
      ['another count', status.table, { ...own, expectedEntries: own.expectedEntries - 1 }],
      ['another table', status.table, { ...own, expectedTableCrc: (own.expectedTableCrc ^ 1) >>> 0 }],
      ['a byte less', status.truncated, { ...own, blob: good.slice(0, good.length - 1) }],
      ['another magic', status.magic, { ...own, blob: altered(good, [[6, 0x32]]) }],
      ['another interface version', status.magic, { ...own, blob: altered(good, [[8, 2]]) }],
      [
        'another checksum',
        status.checksum,
        { ...own, blob: good.map((byte, at) => (at === 105 ? byte ^ 8 : byte)) },
      ],
      ['a payload offset beyond the blob', status.table, { ...own, blob: altered(good, [[33, 0xff]]) }],
      [
        'four billion entries',
        status.table,
        {
          ...own,
          blob: altered(
            good,
            [16, 17, 18, 19].map((at) => [at, 0xff]),
          ),
        },
      ],
    ];
    const found = checkAll(
      compiler,
      program,
      cases.map(([, , item]) => item),
    );
    for (const [index, [what, expected]] of cases.entries()) t.equal(found[index][0], expected, what);
    t.equal(found[0][1], status.ok, 'and its payload is whole');
  });

  t.test('random sections', async (t) => {
    const sections = fc.uniqueArray(
      fc.record({
        name: fc.string({ unit: fc.constantFrom(...'ab.01_'), minLength: 1, maxLength: 55 }),
        format: fc.integer({ min: 0, max: 0xffff }),
        layout: fc.integer({ min: 0, max: 0xffff }),
        rows: fc.integer({ min: 0, max: 0xffff_ffff }),
        cols: fc.integer({ min: 0, max: 0xffff_ffff }),
        content: fc.uint8Array({ minLength: 1, maxLength: 300 }),
      }),
      { selector: ({ name }) => name, maxLength: 9 },
    );
    const cases = fc.sample(sections, { numRuns: 300, seed: 1403 }).map((list) => {
      const whole = list.map((section) => ({ ...section, bytes: section.content.length }));
      return ownCase(writeBlob({ buildId: random(32), sections: whole }));
    });
    const found = checkAll(compiler, program, cases);
    t.equal(found.length, 300);
    t.ok(found.every(([check, verify]) => check === status.ok && verify === status.ok));
  });

  t.test('random damage behind a right checksum', async (t) => {
    // The table's checksum follows the damage too, so that only the checks of the fields themselves are left.
    const change = fc.tuple(
      fc.oneof(fc.integer({ min: 16, max: 39 }), fc.integer({ min: 108, max: 511 })),
      fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(0, 1, 0x40, 0x80, 0xff)),
    );
    const samples = fc.sample(fc.array(change, { minLength: 1, maxLength: 3 }), {
      numRuns: 4000,
      seed: 1404,
    });
    const cases = samples.map((changes): Case => {
      const blob = altered(good, changes);
      const view = new DataView(blob.buffer);
      const entries = Math.min(view.getUint32(16, true), Math.floor((blob.length - 128) / 96));
      const expectedTableCrc = crc32c(blob.subarray(128, 128 + entries * 96));
      return { ...own, blob, expectedBytes: good.length, expectedEntries: entries, expectedTableCrc };
    });
    const found = checkAll(compiler, program, cases);
    const refusals = cases.map(({ blob }) => refusalOfReader(blob));
    const disagreements = samples.filter((_, index) => {
      const acceptedByC = found[index][0] === status.ok;
      const why = refusals[index];
      // C compares names by the table's checksum alone.
      return acceptedByC ? why !== null && !/name/.test(why) : why === null;
    });
    t.same(disagreements, []);
    const refused = refusals.filter((why) => why !== null).length;
    t.ok(refused > 1000 && refused < 4000, `${refused} of 4000 refused`);
  });
});

/** Why readBlob refuses the blob, or null. */
function refusalOfReader(blob: Uint8Array): string | null {
  try {
    readBlob(blob);
    return null;
  } catch (error) {
    if (!(error instanceof EmbedError)) throw error;
    return error.why;
  }
}
