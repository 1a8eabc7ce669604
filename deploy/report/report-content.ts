/** What a report tells, in whatever form. */
import type { Comparison } from './baseline.js';
import type { HistoryEntry } from './history.js';
import type { QuantizationRecords } from './quantization-records.js';
import type { ReportInput } from './report-result.js';

export interface ReportContent extends ReportInput {
  /** With a baseline; empty without one. */
  readonly comparisons: readonly Comparison[];
  /** Earlier runs, oldest first, `results` not among them. */
  readonly history: readonly HistoryEntry[];
  /** Of the bundles that were given; absent: none was. */
  readonly quantizations?: readonly QuantizationRecords[];
}
