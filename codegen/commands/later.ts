/**
 * Commands and options of the command line's contract that this version does not have: what there is instead.
 */
import { EmbedError } from '../diagnostics/error.js';

const ownPlan =
  'write a PLAN.json by hand and give it to --quantize; embed-model inspect CHECKPOINT shows sizes';
const validate =
  'embed-model eval BUNDLE --text FILE measures what quantization costs and judges it by a limit of 2 %';

export const laterCommands: Readonly<Record<string, string>> = {};

/** By name without dashes. */
export const laterOptions: Readonly<Record<string, string>> = {
  activations: 'activations are quantized dynamically, with a scale a token',
  'max-loss': validate,
  validation: validate,
  'max-bytes': 'embed-model inspect CHECKPOINT shows how large the blob of every --quantize is',
  search: ownPlan,
  generations: ownPlan,
};

/** EM1206. */
export function notThereYet(where: string, instead: string): EmbedError {
  return new EmbedError('EM1206', { where, why: 'planned, but not there yet', fix: instead });
}
