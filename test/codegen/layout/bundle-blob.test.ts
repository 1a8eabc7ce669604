import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { readBlob, readBlobSection, writeBlob } from '../../../codegen/layout/blob.js';
import { BLOB_MAGIC } from '../../../codegen/layout/blob-header.js';
import { bundleBlob } from '../../../codegen/layout/bundle-blob.js';

const content = Uint8Array.from({ length: 100 }, (_, i) => i);
const section = { name: 's', format: 0, layout: 0, rows: 1, cols: 100, bytes: 100, content };
const blob = writeBlob({ buildId: new Uint8Array(32).fill(7), sections: [section] });

/** A bundle whose program consists of these parts. */
function programOf(t: Test, ...parts: Uint8Array[]): string {
  const bundle = t.testdir();
  mkdirSync(join(bundle, 'bin'));
  writeFileSync(join(bundle, 'bin', 'em-run'), Buffer.concat(parts));
  return bundle;
}

t.test('a blob of its own', async (t) => {
  const bundle = t.testdir({ 'model.blob': Buffer.from(blob) });
  const source = bundleBlob(bundle, { singleFile: false });
  t.same(readBlobSection(source, readBlob(source).entries[0]!), content);
});

t.test('a blob inside a program, after what only looks like one', async (t) => {
  const cut = blob.subarray(0, blob.length - 1);
  const huge = blob.map((byte, i) => (i >= 24 && i < 32 ? 0xff : byte)); // the blob size
  const damaged = blob.map((byte, i) => (i === 40 ? byte ^ 1 : byte));
  const rest = new Uint8Array(77);
  const bundle = programOf(t, rest, BLOB_MAGIC, huge, damaged, cut, rest, blob, rest);
  const source = bundleBlob(bundle, { singleFile: true });
  t.same(source, Buffer.from(blob));
});

t.test('programs without one', async (t) => {
  const none = [new Uint8Array(0), new Uint8Array(1000), BLOB_MAGIC, blob.subarray(0, blob.length - 1)];
  for (const bytes of none) {
    const bundle = programOf(t, bytes);
    t.throws(() => bundleBlob(bundle, { singleFile: true }), { code: 'EM1403' });
  }
  const empty = t.testdir();
  t.throws(() => bundleBlob(empty, { singleFile: true }), { code: 'EM1402', why: /ENOENT/ });
  mkdirSync(join(empty, 'bin', 'em-run'), { recursive: true });
  t.throws(() => bundleBlob(empty, { singleFile: true }), { code: 'EM1402', why: /not a regular file/ });
});
