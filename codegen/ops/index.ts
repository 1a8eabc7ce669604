/** The ops there are, by kind. Adding one: a file here, a template in templates/ops, a line below and in graph.ts. */
import type { Op } from '../graph/graph.js';
import { type AddStep, add } from './add.js';
import { type AttentionStep, attention } from './attention.js';
import { type EmbedStep, embed } from './embed.js';
import { type GeluStep, gelu } from './gelu.js';
import { type HadamardStep, hadamard } from './hadamard.js';
import { type LayerNormStep, layernorm } from './layernorm.js';
import { type LinearStep, linear } from './linear.js';
import { type NeuronsStep, neurons } from './neurons.js';
import type { OpDefinition } from './op.js';
import { type QuantizeStep, quantize } from './quantize.js';
import { type ResidueStep, residue } from './residue.js';
import { type RmsNormStep, rmsnorm } from './rmsnorm.js';
import { type RopeStep, rope } from './rope.js';
import { type SwigluStep, swiglu } from './swiglu.js';

/** An op lowered to integers: its constants, ready to be evaluated or emitted. */
export type Step =
  | EmbedStep
  | RmsNormStep
  | LayerNormStep
  | QuantizeStep
  | ResidueStep
  | LinearStep
  | RopeStep
  | AttentionStep
  | SwigluStep
  | GeluStep
  | HadamardStep
  | NeuronsStep
  | AddStep;

const definitions = {
  embed,
  rmsnorm,
  layernorm,
  quantize,
  residue,
  linear,
  rope,
  attention,
  swiglu,
  gelu,
  hadamard,
  neurons,
  add,
};

/** The definition of an op's kind. Kinds of op and step are the same by construction. */
export function definitionOf(kind: Op['kind']): OpDefinition<Op, Step> {
  return definitions[kind] as unknown as OpDefinition<Op, Step>;
}
