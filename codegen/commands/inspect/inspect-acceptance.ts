import type { Acceptance } from '../../accept/acceptance.js';
import type { JsonObject } from '../../checkpoint/json-object.js';
import { EmbedError } from '../../diagnostics/error.js';
import { printable } from '../../diagnostics/printable.js';
import { acceptanceSummary } from '../acceptance-summary.js';
import type { Inspection } from './inspection.js';
import { findMisshape, type Shape } from './record-shape.js';

/** The fields of an acceptance that are shown. */
const acceptanceShape: Shape = {
  fields: {
    ...{ model: 'string', target: 'string', plan: 'string' },
    gates: { each: { fields: { name: 'string', passed: 'boolean|null', text: 'string' } } },
    accepted: 'boolean|null',
  },
};

/** Describes an acceptance. Throws EM1209 where it is none. */
export function inspectAcceptance(record: JsonObject, path: string): Inspection {
  const wrong = findMisshape(record, acceptanceShape);
  if (wrong !== null || !Array.isArray(record.gates)) {
    const why = `no valid acceptance: ${wrong ?? 'gates is not a list'}`;
    throw new EmbedError('EM1209', { where: path, why });
  }
  const acceptance = record as unknown as Acceptance;
  const { model, plan, target } = acceptance;
  const head = printable(`acceptance of ${model}, ${plan}, for ${target}`);
  const document = { acceptance };
  return { kind: 'acceptance', document, text: `${head}\n\n${acceptanceSummary(acceptance)}`, faults: [] };
}
