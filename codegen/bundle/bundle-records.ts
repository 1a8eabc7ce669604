import type { Result } from '../../deploy/result.js';
import { type AcceptanceResult, acceptanceRecords } from '../accept/judge-model.js';
import type { AutoRecord } from '../allocate/auto-record.js';
import type { Integers } from '../pipeline.js';
import type { Manifest } from './manifest.js';
import { composeQuantizationSummary } from './quantization-summary.js';

/** manifest.json and the files of report/, by path. `judged`: where more than the loss was; null: it was not. */
export function bundleRecords(
  manifest: Manifest,
  result: Result,
  { auto, certification, statistics }: Integers,
  judged: AcceptanceResult | null,
): ReadonlyMap<string, string> {
  const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
  const found = auto === null || judged === null ? auto : judgedSearch(auto, judged);
  const reports = {
    'result.json': json(result),
    'quantization_summary.json': json(composeQuantizationSummary(manifest, statistics, auto)),
    ...(found === null ? {} : { 'auto.json': json(found) }),
    ...(certification === null ? {} : { 'validation_report.json': json(certification) }),
    ...(judged === null ? {} : acceptanceRecords(judged)),
  };
  const placed = Object.entries(reports).map(([name, text]) => [`report/${name}`, text] as const);
  return new Map([['manifest.json', json(manifest)] as const, ...placed]);
}

/** What a search was to find, by all gates. */
function judgedSearch(auto: AutoRecord, { report, acceptance }: AcceptanceResult): AutoRecord {
  const { accepted, advice } = acceptance;
  return { ...auto, certification: report, accepted, advice: [...auto.advice, ...advice] };
}
