/** quantization_summary.json: what was tried to quantize a model, what was chosen, and what it did to every tensor. */
import type { AutoRecord, Variant } from '../allocate/auto-record.js';
import type { Plan } from '../quantize/plan.js';
import { methodNames, methods } from '../quantize/quantize-model.js';
import type { TensorStatistics } from '../quantize/tensor-statistics.js';
import type { Manifest, ManifestTensor } from './manifest.js';

/** Loss of a variant; nats a token. */
export interface VariantLoss {
  /** Kullback-Leibler divergence; null where only the loss was measured. */
  readonly kld: number | null;
  /** ln of the perplexity over that of the checkpoint; null where only the divergence was measured. */
  readonly lnRatio: number | null;
  readonly positions: number;
}

export interface SummaryVariant {
  /** The plan's name; in a search why it was tried. */
  readonly name: string;
  readonly method: string;
  readonly plan: Plan;
  /** Sections of all matrices in the blob, scales and paddings included. */
  readonly bytes: number;
  /** Of all weight tensors, over all parameters. */
  readonly bitsPerWeight: number;
  /** Divergence that the sum of the sensitivities predicts; null for a plan that was not allocated. */
  readonly predictedKld: number | null;
  /** Quantized weights in float, on text that they were not fitted to; null where it was not measured. */
  readonly float: VariantLoss | null;
  /** The emitted C on the allocation text; null where it was not measured. */
  readonly emitted: VariantLoss | null;
  /** Gates besides the loss that it fails, by name; null where they were not judged. */
  readonly failedGates: readonly string[] | null;
  readonly chosen: boolean;
}

/** Methods over one plan, in float, on text that no weight was fitted to. */
export interface ComparedMethods {
  readonly plan: string;
  readonly positions: number;
  /** Kullback-Leibler divergence from the checkpoint, nats a token. */
  readonly methods: readonly { readonly method: string; readonly kld: number }[];
}

export type SummaryTensor = ManifestTensor &
  Omit<TensorStatistics, 'name'> & { readonly bitsPerWeight: number };

export interface QuantizationSummary {
  readonly schemaVersion: 1;
  readonly model: { readonly name: string; readonly parameters: number };
  readonly target: string;
  readonly plan: string;
  readonly method: string;
  readonly build: { readonly id: string };
  readonly bitsPerWeight: number;
  /** ln of the perplexity ratio that a search was to stay below; null without a search. */
  readonly maxLnRatio: number | null;
  /** What decided which method a search fits weights by; null without a search, or where one method was asked for. */
  readonly searchedWith: ComparedMethods | null;
  /** In the order in which they were tried; at least one. */
  readonly variants: readonly SummaryVariant[];
  /** Of the variant that was chosen, in the order of the graph. */
  readonly tensors: readonly SummaryTensor[];
}

/** `auto` is the record of the search that found the plan; null without one. */
export function composeQuantizationSummary(
  manifest: Manifest,
  statistics: readonly TensorStatistics[],
  auto: AutoRecord | null,
): QuantizationSummary {
  const { model, target, plan, build, quantization } = manifest;
  const found = new Map(statistics.map((one) => [one.name, one]));
  return {
    schemaVersion: 1,
    model: { name: model.name, parameters: model.parameters },
    target,
    plan: plan.name,
    method: quantization.method,
    build: { id: build.id },
    bitsPerWeight: quantization.bitsPerWeight,
    maxLnRatio: auto === null ? null : Math.log1p(auto.goal.maxLoss),
    searchedWith: auto === null ? null : comparedBefore(manifest),
    variants: auto === null ? comparedMethods(manifest) : auto.variants.map((one, i) => tried(one, i, auto)),
    tensors: manifest.tensors.map((tensor) => ({
      ...tensor,
      bitsPerWeight: (8 * tensor.bytes) / (tensor.rows * tensor.columns),
      ...measured(found.get(tensor.name)),
    })),
  };
}

function measured(statistics: TensorStatistics | undefined): Omit<TensorStatistics, 'name'> {
  if (statistics === undefined) throw new RangeError('a tensor of the manifest has no statistics');
  const { name: _, ...figures } = statistics;
  return figures;
}

function comparedBefore({ quantization: { comparison = null } }: Manifest): ComparedMethods | null {
  if (comparison === null) return null;
  const { plan, comparedPositions, divergence } = comparison;
  const found = methods.flatMap((method) => {
    const kld = divergence[method];
    return kld === undefined ? [] : [{ method: methodNames[method], kld }];
  });
  return { plan, positions: comparedPositions, methods: found };
}

/** The plan with every method that was tried. */
function comparedMethods({ plan, quantization, tensors }: Manifest): SummaryVariant[] {
  const { comparison = null, bitsPerWeight, method } = quantization;
  const bytes = tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
  const common = { name: plan.name, plan, bytes, bitsPerWeight, predictedKld: null };
  const unjudged = { emitted: null, failedGates: null };
  if (comparison === null) return [{ ...common, ...unjudged, method, float: null, chosen: true }];
  const tried = methods.filter((one) => comparison.divergence[one] !== undefined);
  return tried.map((one) => ({
    ...{ ...common, ...unjudged, method: methodNames[one], chosen: methodNames[one] === method },
    float: { kld: comparison.divergence[one]!, lnRatio: null, positions: comparison.comparedPositions },
  }));
}

function tried(variant: Variant, index: number, { chosen }: AutoRecord): SummaryVariant {
  const { rung, method, plan, bytes, bitsPerWeight, predicted, float, emitted, failedGates } = variant;
  return {
    ...{
      name: rung,
      method: methodNames[method],
      plan,
      bytes,
      bitsPerWeight,
      predictedKld: predicted,
      float,
    },
    emitted: emitted && { kld: emitted.kld, lnRatio: emitted.lnRatio, positions: emitted.positions },
    failedGates,
    chosen: index === chosen,
  };
}
