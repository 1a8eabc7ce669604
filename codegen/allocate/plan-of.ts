/** An allocation as a plan that can be given back to --quantize. */
import type { Plan } from '../quantize/plan.js';
import type { Allocation } from './allocate-bits.js';
import { allocatedFormats } from './sensitivity.js';

/** One rule a matrix, the most common format last and for all others. `rotate` says what graph the formats are for. */
export function planOf(formats: Allocation['formats'], groupSize: Plan['groupSize'], rotate: boolean): Plan {
  const count = (format: string) => [...formats.values()].filter((one) => one === format).length;
  const common = allocatedFormats.reduce((most, one) => (count(one) > count(most) ? one : most));
  const rules = [...formats]
    .filter(([, format]) => format !== common)
    .map(([match, format]) => ({ match, format }));
  return {
    ...{ schemaVersion: 1, name: 'auto', groupSize, rotate },
    rules: [...rules, { match: '*', format: common }],
  };
}
