import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { layOutBlob, readBlob, writeBlob } from '../../../codegen/layout/blob.js';
import { kernelSetOf } from '../../../codegen/layout/kernel-set.js';
import { rowsLayout } from '../../../codegen/layout/rows-layout.js';
import { blobSections } from '../../../codegen/layout/sections.js';
import { formats } from '../../../codegen/quantize/format.js';
import type { TinyChanges } from '../checkpoint/tiny-model.js';
import { tinyBias, tinyIntegerModel, tinyQwen3 } from '../lower/tiny-integer-model.js';

const folder = mkdtempSync(join(tmpdir(), 'embed-model-sections-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

const lowerTiny = (name: string, changes: TinyChanges = {}) =>
  tinyIntegerModel(join(folder, name), 6, (matrix) => (matrix === 'embed' ? 'w8' : 'w5'), changes);

const kernels = kernelSetOf('portable');
const layerNames = (layer: number) => [
  ...['attn.q', 'attn.k', 'attn.v', 'attn.o', 'mlp.gate', 'mlp.up', 'mlp.down'].map(
    (m) => `layers.${layer}.${m}`,
  ),
];

t.test('sections of a tied model, in their order', async (t) => {
  const model = lowerTiny('plain');
  const tokenizer = Uint8Array.of(1, 2, 3);
  const sections = blobSections(model, kernels, tokenizer);
  t.strictSame(
    sections.map(({ name }) => name),
    [
      'embed',
      ...layerNames(0),
      ...layerNames(1),
      'layers.0.attn_norm',
      'layers.0.mlp_norm',
      'layers.1.attn_norm',
      'layers.1.mlp_norm',
      'head_norm',
      'rope',
      'tokenizer',
    ],
  );
  t.equal(
    blobSections(model, kernels, null).some(({ name }) => name === 'tokenizer'),
    false,
  );

  const blob = readBlob(writeBlob({ buildId: new Uint8Array(32), sections }));
  const entry = (name: string) => blob.entries.find((e) => e.name === name)!;
  t.match(entry('layers.1.mlp.up'), { format: formats.w5.code, layout: rowsLayout.code, rows: 20, cols: 16 });
  t.match(entry('rope'), { format: 0, layout: 0, rows: 6, cols: 4, bytes: 6 * 4 * 2 });
  t.match(entry('head_norm'), { format: 0, layout: 0, rows: 1, cols: 16, bytes: 64 });
});

t.test('content is as long as the table says, and holds the multipliers with their gains', async (t) => {
  const model = lowerTiny('content');
  for (const { name, content, bytes } of blobSections(model, kernels, null)) {
    const parts = typeof content === 'function' ? [...content()] : [content];
    t.equal(
      parts.reduce((sum, part) => sum + part.length, 0),
      bytes,
      name,
    );
    const matrix = model.matrices.get(name);
    if (matrix !== undefined) t.strictSame(parts[0], rowsLayout.pack(matrix));
  }
});

t.test('biases and q/k norms have sections of their own', async (t) => {
  const model = lowerTiny('bias', tinyBias());
  const section = blobSections(model, kernels, null).find(({ name }) => name === 'layers.0.attn.k.bias');
  t.match(section, { format: 0, layout: 0, rows: 1, cols: 8, bytes: 32 });

  const names = blobSections(lowerTiny('norms', tinyQwen3()), kernels, null).map(({ name }) => name);
  t.strictSame(
    names.filter((name) => /[qk]_norm/.test(name)),
    ['layers.0.attn.q_norm', 'layers.0.attn.k_norm', 'layers.1.attn.q_norm', 'layers.1.attn.k_norm'],
  );
  t.equal(new Set(names).size, names.length, 'names are unique');
});

t.test('sections do not overlap in the blob', async (t) => {
  const { entries, payloadOffset, blobBytes } = layOutBlob(blobSections(lowerTiny('apart'), kernels, null));
  let end = payloadOffset;
  for (const { name, offset, bytes } of entries) {
    t.ok(offset >= end && offset % 64 === 0, name);
    end = offset + bytes;
  }
  t.ok(end <= blobBytes);
});
