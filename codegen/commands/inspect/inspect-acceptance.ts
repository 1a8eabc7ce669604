import type { Acceptance } from '../../accept/acceptance.js';
import type { JsonObject } from '../../checkpoint/json-object.js';
import { EmbedError } from '../../diagnostics/error.js';
import { printable } from '../../diagnostics/printable.js';
import { acceptanceSummary } from '../acceptance-summary.js';
import type { Inspection } from './inspection.js';
import { acceptanceShape } from './quantization-shapes.js';
import { findMisshape } from './record-shape.js';

/** Describes an acceptance. Throws EM1209 where it is none. */
export function inspectAcceptance(record: JsonObject, path: string): Inspection {
  const wrong = findMisshape(record, acceptanceShape);
  if (wrong !== null) {
    const why = `no valid acceptance: ${wrong}`;
    throw new EmbedError('EM1209', { where: path, why });
  }
  const acceptance = record as unknown as Acceptance;
  const { model, plan, target } = acceptance;
  const head = printable(`acceptance of ${model}, ${plan}, for ${target}`);
  const document = { acceptance };
  return { kind: 'acceptance', document, text: `${head}\n\n${acceptanceSummary(acceptance)}`, faults: [] };
}
