import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { EmbedError } from '../../../codegen/diagnostics/error.js';
import { readBundleMatrices } from '../../../codegen/evaluate/bundle-matrices.js';
import type { Graph } from '../../../codegen/graph/graph.js';
import { type BlobSection, writeBlob } from '../../../codegen/layout/blob.js';
import { kernelSetOf } from '../../../codegen/layout/kernel-set.js';
import { blobSections } from '../../../codegen/layout/sections.js';
import type { FormatName } from '../../../codegen/quantize/format.js';
import { quantizedHash } from '../../../codegen/quantize/matrix.js';
import { ROW_MANTISSA_UNIT } from '../../../codegen/quantize/row-scale.js';
import { targets } from '../../../targets/index.js';
import { type KernelSet, kernelSets } from '../../../targets/target.js';
import { tinyIntegerModel } from '../lower/tiny-integer-model.js';
import { quietContext } from './tiny-bundle.js';

/** Every format that is grouped, plain, of the tensor or wide. */
const formatOf = (matrix: string): FormatName => {
  const formats: [RegExp, FormatName][] = [
    [/embed/, 'w8'],
    [/attn\.q/, 'w4'],
    [/attn\.[kv]/, 'w6'],
    [/attn\.o/, 'w8t'],
    [/down/, 'w16'],
    [/./, 'w5'],
  ];
  return formats.find(([pattern]) => pattern.test(matrix))![1];
};
const model = tinyIntegerModel(t.testdir(), 8, formatOf);
const { graph } = model;
const buildId = new Uint8Array(32).fill(5);

function manifestFor(kernelSet: KernelSet) {
  const targetSpec = { ...targets[0]!, kernelSet };
  const build = { id: Buffer.from(buildId).toString('hex'), quantizedSha256: '' };
  return { singleFile: false, build, targetSpec };
}

for (const set of kernelSets) {
  t.test(`${set}: the integers that were packed`, async (t) => {
    const sections = blobSections(model, kernelSetOf(set), null);
    const bundle = t.testdir({ 'model.blob': Buffer.from(writeBlob({ buildId, sections })) });
    const found = await readBundleMatrices(bundle, manifestFor(set), graph, quietContext());
    t.same([...found.keys()].sort(), [...model.matrices.keys()].sort());
    const inOrder = [...model.matrices.keys()].map((name) => found.get(name)!);
    t.equal(quantizedHash(inOrder), quantizedHash(model.matrices.values()));
  });
}

t.test('blobs of something else', async (t) => {
  const [set] = kernelSets;
  const sections = blobSections(model, kernelSetOf(set), null);
  const reject = async (why: RegExp, changed: readonly BlobSection[], of: Graph = graph, edit = {}) => {
    const bundle = t.testdir({ 'model.blob': Buffer.from(writeBlob({ buildId, sections: changed })) });
    const reading = readBundleMatrices(bundle, { ...manifestFor(set), ...edit }, of, quietContext());
    const error: unknown = await reading.then(
      () => null,
      (reason: unknown) => reason,
    );
    if (!(error instanceof EmbedError)) throw error ?? new Error(`not refused: ${why}`);
    t.equal(error.code, 'EM2014');
    t.match(error.why, why);
  };
  const [first, ...rest] = sections;
  await reject(/no section embed/, rest);
  await reject(/build 0505.* of 00/, sections, graph, { build: { id: '00', quantizedSha256: '' } });
  await reject(/format 99 in layout/, [{ ...first!, format: 99 }, ...rest]);
  await reject(/in layout 99 of embed is not known/, [{ ...first!, layout: 99 }, ...rest]);
  await reject(/embed has 13 x 16/, [{ ...first!, rows: 13 }, ...rest]);
  const wider = graph.matrices.map((info) => ({ ...info, columns: info.columns + 1 }));
  await reject(/the model 12 x 17/, sections, { ...graph, matrices: wider });
});

t.test('numbers that no quantizer makes', async (t) => {
  const [set] = kernelSets;
  const matrix = model.matrices.get('embed')!;
  const broken = {
    'an integer is outside': { ...matrix, integers: matrix.integers.map(() => -128) },
    'not normalized': { ...matrix, mantissas: matrix.mantissas.map(() => 5 * ROW_MANTISSA_UNIT) },
  };
  for (const [why, one] of Object.entries(broken)) {
    const matrices = new Map([...model.matrices, ['embed', one]]);
    const sections = blobSections({ ...model, matrices }, kernelSetOf(set), null);
    const bundle = t.testdir({});
    writeFileSync(join(bundle, 'model.blob'), writeBlob({ buildId, sections }));
    await t.rejects(readBundleMatrices(bundle, manifestFor(set), graph, quietContext()), {
      code: 'EM2014',
      why: new RegExp(why),
    });
  }
});
