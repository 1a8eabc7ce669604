/** report/auto.json: what `--quantize auto` was asked for, what it tried and measured, and what it chose. */
import type { ValidationReport } from '../evaluate/validation-report.js';
import type { Plan } from '../quantize/plan.js';
import type { Method } from '../quantize/quantize-model.js';
import type { Evolution } from './evolve-allocation.js';
import type { Sensitivity } from './sensitivity.js';

/** A text and how much of it was used. */
export interface AutoText {
  readonly name: string;
  /** SHA-256 (hex) over the ids that were used, as little-endian int32. */
  readonly sha256: string;
  readonly tokens: number;
  /** Tokens in a window; windows do not overlap. */
  readonly window: number;
  readonly windows: number;
}

/** Why a variant was tried: the first, or a rung of the ladder that begins when a variant loses too much or fails another gate. */
export const rungs = [
  'first allocation',
  'more bits where they help most',
  'fewer bits, because there was room',
  'more calibration data',
  'other method',
  'int8',
  'more bits for the other gates',
  'int8 for the other gates',
] as const;
export type Rung = (typeof rungs)[number];

/** How an allocation became the plan of a variant: all children of all generations, and how each did. */
export interface EvolutionRecord extends Omit<Evolution, 'allocation'> {
  /** As it was allocated: the first parent, whose fitness is `start`. */
  readonly from: Plan;
}

/** One plan with the integers that a method found for it. Losses are ln of a perplexity over that of the checkpoint. */
export interface Variant {
  readonly rung: Rung;
  readonly plan: Plan;
  readonly method: Method;
  /** Calibration tokens that the weights were fitted to. */
  readonly fittedTokens: number;
  /** Sections of all matrices in the blob of the target, scales and paddings included. */
  readonly bytes: number;
  /** 8 x bytes of all weight tensors, vectors included, over all parameters. */
  readonly bitsPerWeight: number;
  /** Divergence (nats a token) that the sum of the sensitivities predicts; null for a plan that was not allocated. */
  readonly predicted: number | null;
  /** Null where the plan did not evolve. */
  readonly evolution: EvolutionRecord | null;
  /** On the allocation text, quantized weights in float. Nats a token; null where only the emitted C was measured. */
  readonly float: { readonly kld: number; readonly lnRatio: number; readonly positions: number } | null;
  /** On the allocation text, by the emitted C; null where the variant was given up before. */
  readonly emitted: {
    /** Null where the checkpoint was not run beside it: its likelihoods were known. */
    readonly kld: number | null;
    readonly lnRatio: number;
    /** Upper end of the one-sided 95 % interval of lnRatio; null below 2 windows. */
    readonly upper95: number | null;
    readonly positions: number;
  } | null;
  /** Gates besides the loss that it fails, by name; null where they were not judged. */
  readonly failedGates: readonly string[] | null;
}

export interface AutoRecord {
  readonly schemaVersion: 1;
  readonly goal: {
    /** Most that perplexity may grow, as a fraction. */
    readonly maxLoss: number;
    /** Most bytes of the blob; null: as few as maxLoss allows. */
    readonly maxBytes: number | null;
  };
  /** Pairwise disjoint. Certification is null without --validation. */
  readonly texts: {
    readonly calibration: AutoText;
    readonly allocation: AutoText;
    readonly certification: AutoText | null;
  };
  /** One a matrix, in the order of the graph; [] where a solved plan came with the model. */
  readonly sensitivities: readonly Sensitivity[];
  /** In the order in which they were tried. */
  readonly variants: readonly Variant[];
  /** Index of the variant that the bundle holds. */
  readonly chosen: number;
  /** Of the emitted C on the certification text, used once, after everything; null without one. */
  readonly certification: ValidationReport | null;
  /** Whether the bundle does what was asked, by all gates that were judged; null where nothing was certified. */
  readonly accepted: boolean | null;
  /** What to do where it does not. */
  readonly advice: readonly string[];
}
