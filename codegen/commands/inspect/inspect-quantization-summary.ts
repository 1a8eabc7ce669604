import type { QuantizationSummary, SummaryVariant } from '../../bundle/quantization-summary.js';
import type { JsonObject } from '../../checkpoint/json-object.js';
import { EmbedError } from '../../diagnostics/error.js';
import { printable } from '../../diagnostics/printable.js';
import { type Column, textTable } from '../text-table.js';
import type { Inspection } from './inspection.js';
import { summaryShape } from './quantization-shapes.js';
import { findMisshape } from './record-shape.js';

/** Describes what was tried to quantize a model, and what became of every tensor. Throws EM1209 where it is no such record. */
export function inspectQuantizationSummary(record: JsonObject, path: string): Inspection {
  const wrong = findMisshape(record, summaryShape);
  if (wrong !== null) {
    throw new EmbedError('EM1209', { where: path, why: `no valid quantization summary: ${wrong}` });
  }
  const summary = record as unknown as QuantizationSummary;
  const { model, plan, target, bitsPerWeight, variants, tensors } = summary;
  const head = `quantization of ${model.name}, ${plan}, for ${target}: ${bitsPerWeight.toFixed(3)} bits a weight`;
  const text = [printable(head), variantTable(variants), tensorTable(tensors)].join('\n\n');
  return { kind: 'quantization summary', document: { summary }, text, faults: [] };
}

const right = (title: string): Column => ({ title, align: 'right' });
const left = (title: string): Column => ({ title, align: 'left' });
const figure = (value: number | null | undefined) => (value == null ? '-' : value.toPrecision(3));

/** Divergences in nats a token. */
function variantTable(variants: readonly SummaryVariant[]): string {
  const columns = [
    ...[left('variant'), left('method'), right('bits a weight'), right('KLD predicted')],
    ...[right('in float'), right('emitted C'), left('')],
  ];
  const rows = variants.map(({ name, method, bitsPerWeight, predictedKld, float, emitted, ...judged }) => [
    ...[printable(name), printable(method), bitsPerWeight.toFixed(3), figure(predictedKld)],
    ...[figure(float?.kld), figure(emitted?.kld), verdictOf(judged)],
  ]);
  return textTable(columns, rows);
}

function verdictOf({ chosen, failedGates }: Pick<SummaryVariant, 'chosen' | 'failedGates'>): string {
  const failed = failedGates ?? []; // summaries of earlier versions have none
  const fails = failed.length === 0 ? [] : [`fails ${printable(failed.join(' and '))}`];
  return [...(chosen ? ['chosen'] : []), ...fails].join(', ');
}

function tensorTable(tensors: QuantizationSummary['tensors']): string {
  const columns = [left('tensor'), left('format'), right('bytes'), right('SQNR dB'), right('output error')];
  const rows = tensors.map(({ name, format, bytes, sqnrDb, outputError }) => [
    ...[printable(name), printable(format), String(bytes)],
    ...[sqnrDb === null ? 'exact' : sqnrDb.toFixed(1), figure(outputError)],
  ]);
  return textTable(columns, rows);
}
