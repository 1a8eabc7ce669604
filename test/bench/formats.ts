/** The plans that are measured: every matrix in one format, the embedding included. */
import { type FormatName, formatNames } from '../../codegen/quantize/format.js';
import { namedPlans, type Plan } from '../../codegen/quantize/plan.js';

/** A name that --quantize knows, or a format such as w5. Null where it is neither. */
export function planOf(name: string): Plan | null {
  const format = formatNames.find((known) => known === name);
  return namedPlans[name] ?? (format === undefined ? null : uniformPlan(format));
}

function uniformPlan(format: FormatName): Plan {
  return { schemaVersion: 1, name: format, groupSize: 32, rules: [{ match: '*', format }] };
}
