/** Records of a quantization made by hand: a model of `layers` layers that a search tried three plans for. */
import { compareOutput } from '../../../codegen/accept/output-comparison.js';
import type { SummaryTensor, SummaryVariant } from '../../../codegen/bundle/quantization-summary.js';
import { logHistogram } from '../../../codegen/evaluate/log-histogram.js';
import type { FormatName } from '../../../codegen/quantize/format.js';
import { namedPlans } from '../../../codegen/quantize/plan.js';
import type { QuantizationRecords } from '../../../deploy/report/quantization-records.js';

export const hostile = `<script>alert("1")</script>&'`;

export function tensor(name: string, format: FormatName, change: Partial<SummaryTensor> = {}): SummaryTensor {
  return {
    ...{ name, format, rows: 64, columns: 32, bytes: 1100, bitsPerWeight: 4.3, mse: 1e-5, mae: 2e-3 },
    ...{ sqnrDb: 20, outputError: 0.05, kldShare: 0.1 },
    ...change,
  };
}

export function variant(
  bits: number,
  kld: number | null,
  change: Partial<SummaryVariant> = {},
): SummaryVariant {
  return {
    ...{ name: 'first allocation', method: 'GPTQ', plan: namedPlans.int4!, bytes: Math.round(bits * 1000) },
    ...{ bitsPerWeight: bits, predictedKld: null, emitted: null, failedGates: null, chosen: false },
    float: kld === null ? null : { kld, lnRatio: kld, positions: 1000 },
    ...change,
  };
}

const roles = ['attn.q', 'attn.k', 'mlp.down', hostile] as const;

export function records(layers: number): QuantizationRecords {
  const tensors = Array.from({ length: layers }, (_, layer) =>
    roles.map((role, i) => {
      const format = (['w4', 'w5', 'w6', 'w8'] as const)[(layer + i) % 4]!;
      return tensor(`layers.${layer}.${role}`, format, { sqnrDb: 18 + 3 * i + layer / 10 });
    }),
  );
  const outputs = [
    compareOutput({ text: `once ${hostile}`, ids: [1, 2] }, [3, 4, 5], [3, 9], null),
    compareOutput({ text: null, ids: [7] }, [3], [3], null),
  ];
  return {
    summary: {
      ...{ schemaVersion: 1, model: { name: hostile, parameters: 1e6 }, target: 'cortex-a72', plan: 'auto' },
      ...{ method: 'GPTQ', build: { id: 'ab'.repeat(32) }, bitsPerWeight: 5.4, maxLnRatio: Math.log(1.02) },
      searchedWith: { plan: 'int4', positions: 1016, methods: [{ method: hostile, kld: 0.0679 }] },
      variants: [
        variant(5.2, 0.02, { predictedKld: 0.015, failedGates: ['repetition', hostile] }),
        variant(5.6, 0.011, {
          emitted: { kld: 0.013, lnRatio: 0.015, positions: 1000 },
          failedGates: [],
          chosen: true,
        }),
        variant(8, 0.0004, { name: hostile, method: 'round to nearest' }),
      ],
      tensors: [tensor('embed', 'w8', { sqnrDb: 42, outputError: null, kldShare: null }), ...tensors.flat()],
    },
    validation: {
      ...{
        schemaVersion: 1,
        model: hostile,
        plan: 'auto',
        text: { name: hostile, sha256: '00' },
        window: 64,
      },
      ...{ windows: 40, tokens: 2520, threshold: 0.02, accepted: true, integerCost: null },
      ...{ reference: { nll: 2, perplexity: 7.389 }, quantized: { nll: 2.01, perplexity: 7.46 } },
      lnRatio: { mean: 0.01, standardError: 0.001, upper95: 0.012 },
      kld: {
        ...{ mean: 0.02, standardError: 0.001, median: 0.01, p95: 0.05, p99: 0.2, p999: 0.6, max: 1.5 },
        histogram: logHistogram([0, 1e-4, 0.004, 0.005, 0.01, 0.012, 0.03, 0.2, 1.5]),
      },
      sameTop: { fraction: 0.97, standardError: 0.003 },
      ...{ speedAgainst16Bit: 1.9, sizeAgainst16Bit: 0.35 },
    },
    acceptance: {
      ...{ schemaVersion: 1, model: 'm', target: 't', plan: 'auto', build: { id: '', quantizedSha256: '' } },
      text: { name: 'x', sha256: '' },
      gates: [
        { name: 'loss', passed: true, found: 0.012, limit: 0.02, figures: {}, text: `below ${hostile}` },
        { name: 'speed', passed: null, found: null, limit: 1.5, figures: {}, text: 'not judged' },
        { name: 'size', passed: false, found: 2, limit: 2.5, figures: {}, text: 'too large' },
      ],
      accepted: false,
      advice: [`size: ${hostile}`],
    },
    comparison: {
      ...{ schemaVersion: 1, model: 'm', plan: hostile, build: { id: '' }, tokens: 8 },
      outputs: Array.from({ length: 9 }, (_, i) => outputs[i % 2]!),
    },
  };
}
