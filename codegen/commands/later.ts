/** What the command line's contract has and this version does not: what there is instead. */
import { EmbedError } from '../diagnostics/error.js';

/** EM1206. */
export function notThereYet(where: string, instead: string): EmbedError {
  return new EmbedError('EM1206', { where, why: 'planned, but not there yet', fix: instead });
}
