import type { JsonObject } from '../../checkpoint/json-object.js';
import { EmbedError } from '../../diagnostics/error.js';
import type { ValidationReport } from '../../evaluate/validation-report.js';
import { validationSummary } from '../validation-summary.js';
import type { Inspection } from './inspection.js';
import { findMisshape, type Shape } from './record-shape.js';

const likelihood: Shape = { fields: { nll: 'number', perplexity: 'number' } };

/** The fields of a validation report that are shown. */
const reportShape: Shape = {
  fields: {
    model: 'string',
    plan: 'string',
    text: { fields: { name: 'string' } },
    window: 'number',
    windows: 'number',
    tokens: 'number',
    reference: likelihood,
    quantized: likelihood,
    lnRatio: { fields: { mean: 'number', upper95: 'number|null' } },
    kld: { fields: { mean: 'number', median: 'number', p99: 'number', max: 'number' } },
    sameTop: { fields: { fraction: 'number' } },
    integerCost: { optional: { fields: { lnRatio: { fields: { mean: 'number' } } } } },
    sizeAgainst16Bit: 'number|null',
    speedAgainst16Bit: 'number|null',
    threshold: 'number',
    accepted: 'boolean|null',
  },
};

/** Describes a validation report. Throws EM1209 where it is none. */
export function inspectValidationReport(record: JsonObject, path: string): Inspection {
  const wrong = findMisshape(record, reportShape);
  if (wrong !== null)
    throw new EmbedError('EM1209', { where: path, why: `no valid validation report: ${wrong}` });
  const report = { ...record, integerCost: record.integerCost ?? null } as unknown as ValidationReport;
  const text = `validation report\n\n${validationSummary(report)}`;
  return { kind: 'validation report', document: { report }, text, faults: [] };
}
