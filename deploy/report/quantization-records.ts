/** What a bundle knows about its quantization, read from files that anybody may have written. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Acceptance } from '../../codegen/accept/acceptance.js';
import type { OutputComparison } from '../../codegen/accept/output-comparison.js';
import type { QuantizationSummary } from '../../codegen/bundle/quantization-summary.js';
import { parseJsonObject } from '../../codegen/checkpoint/json-object.js';
import { acceptanceShape, summaryShape } from '../../codegen/commands/inspect/quantization-shapes.js';
import { findMisshape, type Shape } from '../../codegen/commands/inspect/record-shape.js';
import { readSmallFile } from '../../codegen/commands/read-small-file.js';
import { EmbedError } from '../../codegen/diagnostics/error.js';
import type { ValidationReport } from '../../codegen/evaluate/validation-report.js';

/** Records that are not there are null. */
export interface QuantizationRecords {
  readonly summary: QuantizationSummary | null;
  readonly validation: ValidationReport | null;
  readonly acceptance: Acceptance | null;
  readonly comparison: OutputComparison | null;
}

/** The acceptances among records. */
export const acceptancesOf = (records: readonly QuantizationRecords[] = []): Acceptance[] =>
  records.flatMap(({ acceptance }) => (acceptance === null ? [] : [acceptance]));

/** Thousands of tensors, a thousand prompts. */
const MOST_BYTES = 64 << 20;

/** Reports of earlier versions have none. */
const histogramShape: Shape = {
  fields: {
    ...{ firstDecade: 'number', binsPerDecade: 'number', below: 'number', above: 'number' },
    counts: { list: 'number' },
  },
};

const validationShape: Shape = {
  fields: {
    ...{ model: 'string', plan: 'string', window: 'number', windows: 'number', tokens: 'number' },
    text: { fields: { name: 'string', sha256: 'string' } },
    reference: { fields: { perplexity: 'number' } },
    quantized: { fields: { perplexity: 'number' } },
    lnRatio: { fields: { mean: 'number', standardError: 'number|null', upper95: 'number|null' } },
    kld: {
      fields: {
        mean: 'number',
        median: 'number',
        p99: 'number',
        max: 'number',
        histogram: { optional: histogramShape },
      },
    },
    sameTop: { fields: { fraction: 'number' } },
    ...{ threshold: 'number', accepted: 'boolean|null' },
  },
};

const text: Shape = { fields: { ids: { list: 'number' }, text: 'string|null' } };
const comparisonShape: Shape = {
  fields: {
    ...{ plan: 'string', tokens: 'number' },
    outputs: { list: { fields: { prompt: text, float: text, quantized: text, equalTokens: 'number' } } },
  },
};

/** The records in the folder report of a bundle. Throws EM4041 for one that is not what it should be. */
export function readQuantizationRecords(bundle: string): QuantizationRecords {
  const read = (name: string, shape: Shape) => readRecord(join(bundle, 'report', name), shape);
  const summary = read('quantization_summary.json', summaryShape) as QuantizationSummary | null;
  const validation = read('validation_report.json', validationShape) as ValidationReport | null;
  return {
    summary,
    validation,
    acceptance: read('acceptance.json', acceptanceShape) as Acceptance | null,
    comparison: read('compare_outputs.json', comparisonShape) as OutputComparison | null,
  };
}

function readRecord(path: string, shape: Shape): unknown {
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return null;
  const record = parseJsonObject(readSmallFile(path, MOST_BYTES, 'EM4041'), path, 'EM4041');
  if (record.schemaVersion !== 1) {
    const why = `schemaVersion is ${String(record.schemaVersion)}; this version reads 1`;
    throw new EmbedError('EM4041', { where: path, why });
  }
  const wrong = findMisshape(record, shape);
  if (wrong !== null) throw new EmbedError('EM4041', { where: path, why: wrong });
  if (!areNumbersFinite(record))
    throw new EmbedError('EM4041', { where: path, why: 'a number is too large' });
  return record;
}

/** Whether every number in a parsed JSON value is finite: 1e999 is valid JSON, and no place in a chart. */
function areNumbersFinite(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  return typeof value !== 'object' || value === null || Object.values(value).every(areNumbersFinite);
}
