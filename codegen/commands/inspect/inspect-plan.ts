import type { JsonObject } from '../../checkpoint/json-object.js';
import { printable } from '../../diagnostics/printable.js';
import { formats } from '../../quantize/format.js';
import { parsePlan } from '../../quantize/plan.js';
import { textTable } from '../text-table.js';
import type { Inspection } from './inspection.js';

/** Describes a quantization plan. Throws EM2001 where it is none. */
export function inspectPlan(record: JsonObject, path: string): Inspection {
  const plan = parsePlan(record, path);
  const rules = plan.rules.map(({ match, format }) => [
    `  ${printable(match)}`,
    format,
    formats[format].description,
  ]);
  const table = textTable([{ title: '  tensors' }, { title: 'format' }, { title: '' }], rules);
  const title = `quantization plan ${printable(plan.name)}: groups of ${plan.groupSize} columns`;
  return {
    kind: 'plan',
    document: { plan },
    text: `${title}\n\n${table}\n\nthe first rule that matches a tensor decides`,
    faults: [],
  };
}
