import t from 'tap';
import type { AutoRecord, Variant } from '../../../codegen/allocate/auto-record.js';
import type { Manifest } from '../../../codegen/bundle/manifest.js';
import { composeQuantizationSummary } from '../../../codegen/bundle/quantization-summary.js';
import { namedPlans } from '../../../codegen/quantize/plan.js';

/** As much of one as a summary is made of. */
const manifest = {
  model: { name: 'by hand', parameters: 600 },
  target: 'cortex-a72',
  plan: namedPlans.int4,
  build: { id: 'ab' },
  quantization: {
    method: 'GPTQ',
    bitsPerWeight: 5.5,
    comparison: {
      divergence: { gptq: 0.02, nearest: 0.03, 'awq+gptq': 0.025 },
      fittedTokens: 900,
      comparedPositions: 100,
    },
  },
  tensors: [
    { name: 'embed', format: 'w8', rows: 10, columns: 20, bytes: 250 },
    { name: 'layers.0.attn.q', format: 'w4', rows: 20, columns: 20, bytes: 225 },
  ],
} as unknown as Manifest;

const statistics = manifest.tensors.map(({ name }, i) => ({
  ...{ name, mse: i, mae: i, sqnrDb: 20 + i, outputError: null, kldShare: i / 2 },
}));

t.test('methods that were compared', async (t) => {
  const { variants, tensors, maxLnRatio } = composeQuantizationSummary(manifest, statistics, null);
  t.match(variants, [
    { name: 'int4', method: 'round to nearest', float: { kld: 0.03, lnRatio: null }, chosen: false },
    {
      name: 'int4',
      method: 'GPTQ',
      bytes: 475,
      bitsPerWeight: 5.5,
      float: { kld: 0.02, positions: 100 },
      chosen: true,
    },
    { name: 'int4', method: 'AWQ and GPTQ', float: { kld: 0.025, lnRatio: null }, chosen: false },
  ]);
  t.equal(maxLnRatio, null);
  t.match(tensors, [
    { name: 'embed', bitsPerWeight: 10, sqnrDb: 20 },
    { name: 'layers.0.attn.q', bitsPerWeight: 4.5, sqnrDb: 21, kldShare: 0.5, format: 'w4' },
  ]);
  const { comparison: _, ...quantization } = manifest.quantization;
  const alone = composeQuantizationSummary({ ...manifest, quantization }, statistics, null);
  t.match(alone.variants, [{ method: 'GPTQ', float: null, emitted: null, chosen: true }]);
  t.equal(alone.variants.length, 1);
  t.throws(() => composeQuantizationSummary(manifest, statistics.slice(1), null), /no statistics/);
});

t.test('a search', async (t) => {
  const one = (rung: Variant['rung'], bytes: number, change: Partial<Variant> = {}): Variant => ({
    ...{ rung, plan: namedPlans.int4!, method: 'gptq', fittedTokens: 900, bytes, bitsPerWeight: bytes / 100 },
    ...{
      predicted: 0.01,
      evolution: null,
      failedGates: null,
      float: { kld: 0.012, lnRatio: 0.015, positions: 100 },
      emitted: null,
    },
    ...change,
  });
  const emitted = { kld: 0.014, lnRatio: 0.017, upper95: 0.019, positions: 90 };
  const auto = {
    goal: { maxLoss: 0.02, maxBytes: null },
    variants: [
      one('first allocation', 400),
      one('int8', 600, { emitted, predicted: null, method: 'nearest', failedGates: ['repetition'] }),
    ],
    chosen: 1,
  } as unknown as AutoRecord;
  const { variants, maxLnRatio } = composeQuantizationSummary(manifest, statistics, auto);
  t.equal(maxLnRatio, Math.log1p(0.02));
  t.match(variants, [
    {
      name: 'first allocation',
      method: 'GPTQ',
      bytes: 400,
      bitsPerWeight: 4,
      predictedKld: 0.01,
      failedGates: null,
      chosen: false,
    },
    {
      name: 'int8',
      method: 'round to nearest',
      predictedKld: null,
      emitted: { kld: 0.014, positions: 90 },
      failedGates: ['repetition'],
      chosen: true,
    },
  ]);
});
