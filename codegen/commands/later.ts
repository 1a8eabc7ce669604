/**
 * Commands and options of the command line's contract that this version does not have: what there is instead.
 */
import { EmbedError } from '../diagnostics/error.js';

const ownPlan =
  'write a PLAN.json by hand and give it to --quantize; embed-model inspect CHECKPOINT shows sizes';

export const laterCommands: Readonly<Record<string, string>> = {};

/** By name without dashes. */
export const laterOptions: Readonly<Record<string, string>> = {
  search: ownPlan,
  generations: ownPlan,
};

/** EM1206. */
export function notThereYet(where: string, instead: string): EmbedError {
  return new EmbedError('EM1206', { where, why: 'planned, but not there yet', fix: instead });
}
