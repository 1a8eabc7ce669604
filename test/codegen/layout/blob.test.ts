import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { EmbedError } from '../../../codegen/diagnostics/error.js';
import {
  type BlobSection,
  layOutBlob,
  readBlob,
  readBlobSection,
  verifyBlobPayload,
  writeBlob,
  writeBlobFile,
} from '../../../codegen/layout/blob.js';
import { crc32c } from '../../../codegen/layout/crc32c.js';

const folder = mkdtempSync(join(tmpdir(), 'embed-model-blob-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

const buildId = Uint8Array.from({ length: 32 }, (_, index) => 0xa0 + index);

function section(name: string, bytes: number, seed = 1): BlobSection {
  const content = Uint8Array.from({ length: bytes }, (_, index) => (index * 31 + seed) & 0xff);
  return { name, format: 1, layout: 2, rows: 3, cols: 5, leastExponent: 77, bytes, content };
}

const sections = [section('embedding', 200), section('rope', 64, 7), section('tokenizer', 1, 9)];

/** Sections as a packer could hand them over: any sizes, contents whole or in pieces. */
const anySections = fc
  .uniqueArray(
    fc.record({
      name: fc.string({ unit: fc.constantFrom(...'abcxyz.019_-'), minLength: 1, maxLength: 55 }),
      format: fc.integer({ min: 0, max: 0xffff }),
      layout: fc.integer({ min: 0, max: 0xffff }),
      rows: fc.integer({ min: 0, max: 0xffff_ffff }),
      cols: fc.integer({ min: 0, max: 0xffff_ffff }),
      leastExponent: fc.integer({ min: 0, max: 255 }),
      pieces: fc.array(fc.uint8Array({ maxLength: 90 }), { minLength: 1, maxLength: 4 }),
    }),
    { selector: (item) => item.name, maxLength: 6 },
  )
  .map((items) =>
    items.map(({ pieces, ...item }): BlobSection => {
      const whole = Uint8Array.from([...pieces.flatMap((piece) => [...piece]), 0x5a]);
      const inPieces = () => [...pieces, whole.subarray(whole.length - 1)];
      return { ...item, bytes: whole.length, content: pieces.length % 2 === 0 ? whole : inPieces };
    }),
  );

function bytesOf({ content }: BlobSection): Uint8Array {
  return content instanceof Uint8Array
    ? content
    : Uint8Array.from([...content()].flatMap((piece) => [...piece]));
}

function refused(code: string): { name: string; code: string } {
  return { name: 'EmbedError', code };
}

/** A copy with bytes changed, its header checksum made right again unless told otherwise. */
function altered(blob: Uint8Array, change: (view: DataView) => void): Uint8Array {
  const copy = blob.slice();
  const view = new DataView(copy.buffer);
  change(view);
  const end = Number(view.getBigUint64(32, true));
  if (end <= copy.length) {
    const before = crc32c(copy.subarray(0, 104));
    view.setUint32(104, crc32c(copy.subarray(108, end), crc32c(new Uint8Array(4), before)), true);
  }
  return copy;
}

t.test('CRC32C: the vectors of RFC 3720 B.4, whole and in pieces', async (t) => {
  const scsiReadCommand =
    '01c00000000000000000000000000000' +
    '14000000000004000000001400000018' +
    '28000000000000000200000000000000';
  const vectors: [Uint8Array, number][] = [
    [new TextEncoder().encode('123456789'), 0xe3069283],
    [new Uint8Array(32), 0x8a9136aa],
    [new Uint8Array(32).fill(0xff), 0x62a8ab43],
    [Uint8Array.from({ length: 32 }, (_, index) => index), 0x46dd794e],
    [Uint8Array.from({ length: 32 }, (_, index) => 31 - index), 0x113fdb5c],
    [Buffer.from(scsiReadCommand, 'hex'), 0xd9963a56],
  ];
  for (const [bytes, expected] of vectors) {
    t.equal(crc32c(bytes), expected);
    t.equal(crc32c(bytes.subarray(5), crc32c(bytes.subarray(0, 5))), expected);
  }
});

t.test('layout: the bytes that em_blob.h documents', async (t) => {
  const blob = writeBlob({ buildId, sections });
  const view = new DataView(blob.buffer);
  const text = (offset: number, length: number) =>
    Buffer.from(blob.subarray(offset, offset + length)).toString('latin1');
  t.equal(text(0, 8), 'EMBLOB1\0');
  t.same(
    [8, 12, 16, 20].map((offset) => view.getUint32(offset, true)),
    [1, 128, 3, 96],
  );
  t.equal(view.getBigUint64(24, true), BigInt(blob.length));
  t.equal(view.getBigUint64(32, true), 448n, '128 + 3 x 96 = 416, rounded up to 64');
  t.same(blob.subarray(40, 72), buildId);
  t.same(blob.subarray(72, 104), new Uint8Array(createHash('sha256').update(blob.subarray(448)).digest()));
  t.equal(text(128 + 96, 56), `rope${'\0'.repeat(52)}`);
  t.same(
    [56, 58].map((offset) => view.getUint16(128 + 96 + offset, true)),
    [1, 2],
  );
  t.same(
    [60, 64, 68].map((offset) => view.getUint32(128 + 96 + offset, true)),
    [3, 5, 77],
  );
  t.same(
    [72, 80, 88].map((offset) => view.getBigUint64(128 + 96 + offset, true)),
    [448n + 256n, 64n, 0n],
  );
  t.equal(blob.length, 448 + 256 + 64 + 64);
  t.ok(
    blob.subarray(448 + 200, 448 + 256).every((byte) => byte === 0),
    'zeros after a section',
  );
  t.equal(layOutBlob(sections).tableCrc32c, crc32c(blob.subarray(128, 128 + 3 * 96)));
});

t.test('what is written is what is read, from memory and from a file', async (t) => {
  const roundTrip = fc.property(anySections, fc.uint8Array({ minLength: 32, maxLength: 32 }), (list, id) => {
    const path = join(folder, 'property.blob');
    const blob = writeBlob({ buildId: id, sections: list });
    const written = writeBlobFile(path, { buildId: id, sections: list });
    if (!readFileSync(path).equals(blob)) return false;
    for (const source of [blob, path]) {
      const read = verifyBlobPayload(source);
      if (Buffer.compare(read.buildId, id) !== 0 || read.blobBytes !== blob.length) return false;
      if (read.tableCrc32c !== written.tableCrc32c || read.payloadOffset % 64 !== 0) return false;
      if (JSON.stringify(read.entries) !== JSON.stringify(written.entries)) return false;
      for (const [index, entry] of read.entries.entries()) {
        if (entry.offset % 64 !== 0 || entry.name !== list[index].name) return false;
        if (Buffer.compare(readBlobSection(source, entry), bytesOf(list[index])) !== 0) return false;
      }
    }
    return true;
  });
  t.doesNotThrow(() => fc.assert(roundTrip, { numRuns: 150 }));
});

t.test('the build id can depend on the payload, but not the payload on it', async (t) => {
  const seen: Uint8Array[] = [];
  const blob = writeBlob({
    sections,
    buildId: (payloadSha256) => {
      seen.push(payloadSha256);
      return createHash('sha256').update(payloadSha256).digest();
    },
  });
  const read = readBlob(blob);
  t.same(seen, [read.payloadSha256]);
  t.same(read.buildId, new Uint8Array(createHash('sha256').update(read.payloadSha256).digest()));
  t.same(readBlob(writeBlob({ buildId, sections })).payloadSha256, read.payloadSha256);
});

t.test('sections that cannot be stored are refused and leave no file', async (t) => {
  const bad: [string, BlobSection[]][] = [
    ['empty name', [section('', 4)]],
    ['name of 56 bytes', [section('n'.repeat(56), 4)]],
    ['name beyond ASCII', [section('café', 4)]],
    ['name with a space', [section('a b', 4)]],
    ['name taken', [section('a', 4), section('a', 4)]],
    ['rows beyond 32 bits', [{ ...section('a', 4), rows: 2 ** 32 }]],
    ['negative format', [{ ...section('a', 4), format: -1 }]],
    ['no bytes', [section('a', 0)]],
    ['fewer bytes than announced', [{ ...section('a', 4), bytes: 5 }]],
    ['more bytes than announced', [{ ...section('a', 4), bytes: 3 }]],
    ['sizes beyond 2^53', [{ ...section('a', 4), bytes: Number.MAX_SAFE_INTEGER }]],
  ];
  const path = join(folder, 'refused.blob');
  for (const [what, list] of bad) {
    t.throws(() => writeBlobFile(path, { buildId, sections: list }), refused('EM1408'), what);
    t.throws(() => readFileSync(path), { code: 'ENOENT' }, `${what}: no file`);
  }
  t.throws(
    () => writeBlob({ buildId: buildId.subarray(1), sections }),
    refused('EM1408'),
    'build id of 31 bytes',
  );
  const nowhere = join(folder, 'no such folder', 'x.blob');
  t.throws(() => writeBlobFile(nowhere, { buildId, sections }), refused('EM1301'), 'folder missing');
});

t.test('every flipped bit of header and table, and of the payload, is refused', async (t) => {
  const blob = writeBlob({ buildId, sections });
  const { payloadOffset } = readBlob(blob);
  let accepted = 0;
  for (let bit = 0; bit < blob.length * 8; bit++) {
    const inHead = bit < payloadOffset * 8;
    blob[bit >> 3] ^= 1 << (bit & 7);
    try {
      readBlob(blob);
      if (inHead) accepted++;
      verifyBlobPayload(blob);
      accepted++;
    } catch (error) {
      if (!(error instanceof EmbedError)) throw error;
      if (!inHead && error.code !== 'EM1407') throw error;
    }
    blob[bit >> 3] ^= 1 << (bit & 7);
  }
  t.equal(accepted, 0);
  verifyBlobPayload(blob);
});

t.test('contradictions that a right checksum hides are refused, each by its number', async (t) => {
  const blob = writeBlob({ buildId, sections });
  const entry = (index: number, field: number) => 128 + 96 * index + field;
  const cases: [string, string, Uint8Array][] = [
    ['magic', 'EM1403', altered(blob, (view) => view.setUint8(6, 0x32))],
    ['interface version', 'EM1403', altered(blob, (view) => view.setUint32(8, 2, true))],
    ['header size', 'EM1403', altered(blob, (view) => view.setUint32(12, 64, true))],
    ['entry size', 'EM1403', altered(blob, (view) => view.setUint32(20, 95, true))],
    ['more entries', 'EM1406', altered(blob, (view) => view.setUint32(16, 0xffff_ffff, true))],
    ['payload offset', 'EM1406', altered(blob, (view) => view.setBigUint64(32, 512n, true))],
    ['payload offset beyond 2^53', 'EM1406', altered(blob, (view) => view.setBigUint64(32, 1n << 63n, true))],
    ['table beyond the end', 'EM1404', blob.slice(0, 440)],
    ['blob cut short', 'EM1404', blob.slice(0, blob.length - 1)],
    ['blob with more bytes', 'EM1404', Uint8Array.from([...blob, 0])],
    ['no header', 'EM1403', blob.slice(0, 127)],
    ['nothing at all', 'EM1403', new Uint8Array(0)],
    ['reserved in the header', 'EM1406', altered(blob, (view) => view.setUint8(127, 1))],
    ['exponent of an entry', 'EM1406', altered(blob, (view) => view.setUint32(entry(1, 68), 256, true))],
    ['padding of an entry', 'EM1406', altered(blob, (view) => view.setUint8(entry(2, 95), 1))],
    ['empty name', 'EM1406', altered(blob, (view) => view.setUint8(entry(1, 0), 0))],
    ['bytes after the name', 'EM1406', altered(blob, (view) => view.setUint8(entry(1, 50), 0x61))],
    ['sections overlap', 'EM1406', altered(blob, (view) => view.setBigUint64(entry(1, 72), 448n, true))],
    ['section not aligned', 'EM1406', altered(blob, (view) => view.setBigUint64(entry(0, 72), 449n, true))],
    ['section beyond the end', 'EM1406', altered(blob, (view) => view.setBigUint64(entry(2, 80), 65n, true))],
    ['section near 2^64', 'EM1406', altered(blob, (view) => view.setBigUint64(entry(0, 80), ~0n, true))],
    ['section of no bytes', 'EM1406', altered(blob, (view) => view.setBigUint64(entry(2, 80), 0n, true))],
    ['checksum', 'EM1405', Uint8Array.from(blob, (byte, index) => (index === 105 ? byte ^ 1 : byte))],
  ];
  const path = join(folder, 'contradiction.blob');
  for (const [what, code, bytes] of cases) {
    t.throws(() => readBlob(bytes), refused(code), what);
    writeFileSync(path, bytes);
    t.throws(() => readBlob(path), refused(code), `${what}, in a file`);
  }
  t.throws(() => readBlob(join(folder, 'absent')), refused('EM1402'));
  t.throws(() => readBlob(folder), refused('EM1402'), 'a folder');
});

t.test('random damage behind a right checksum never crashes the reader', async (t) => {
  const blob = writeBlob({ buildId, sections });
  const change = fc.record({
    offset: fc.integer({ min: 0, max: 447 }),
    value: fc.integer({ min: 0, max: 255 }),
  });
  const survives = (changes: { offset: number; value: number }[]): boolean => {
    const damaged = altered(blob, (view) => {
      for (const { offset, value } of changes) view.setUint8(offset, value);
    });
    try {
      const { entries, blobBytes } = readBlob(damaged);
      return entries.every((item) => item.offset + item.bytes <= blobBytes);
    } catch (error) {
      return error instanceof EmbedError;
    }
  };
  const property = fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), survives);
  t.doesNotThrow(() => fc.assert(property, { numRuns: 2000, seed: 1402 }));
});

t.test('a file that shrinks after its header was checked is refused', async (t) => {
  const path = join(folder, 'shrinks.blob');
  const { entries } = writeBlobFile(path, { buildId, sections });
  truncateSync(path, entries[1].offset);
  t.throws(() => readBlobSection(path, entries[1]), refused('EM1402'));
});
