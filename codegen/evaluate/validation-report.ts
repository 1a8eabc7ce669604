/** validation_report.json: how much worse the quantized model predicts a text than its checkpoint. */
import { writeReportFiles } from '../bundle/report-files.js';
import type { ValidationStatistics } from './statistics.js';

/** The emitted C against the same quantized weights in float: what integers alone cost. */
export type IntegerCost = Pick<ValidationStatistics, 'reference' | 'lnRatio' | 'kld' | 'sameTop'>;

/** Natural logarithms (nats) throughout. */
export interface ValidationReport extends ValidationStatistics {
  readonly schemaVersion: 1;
  readonly model: string;
  readonly plan: string;
  readonly text: { readonly name: string; readonly sha256: string };
  /** Tokens in a window; all but its first are scored. */
  readonly window: number;
  /** Tokens a second over those of the same model with 16-bit weights on the same machine; null where not measured. */
  readonly speedAgainst16Bit: number | null;
  /** Bytes of the weights in the blob over those of the same model with 16-bit weights; null where not known. */
  readonly sizeAgainst16Bit: number | null;
  /** Most that perplexity may grow, as a fraction. */
  readonly threshold: number;
  /** Null where not asked for. */
  readonly integerCost: IntegerCost | null;
}

/** Writes <bundle>/report/validation_report.json in one step. Throws EM1301. */
export function writeValidationReport(bundle: string, report: ValidationReport): void {
  writeReportFiles(bundle, { 'validation_report.json': `${JSON.stringify(report, null, 2)}\n` });
}
