/** One exit code for many boards. */
import type { ExitCode } from '../../codegen/diagnostics/exit-codes.js';
import { acceptancesOf } from './quantization-records.js';
import type { ReportContent } from './report-content.js';
import { verdictOf } from './report-result.js';

/** The worst comes first: what trying again cannot mend, then what it may, then who only has to wait. */
const gravity: readonly ExitCode[] = [1, 2, 3, 4];

/**
 * 0 only where every board is well: other logits, regressions and bundles that were not accepted are 1, boards without a result have
 * the code of their error.
 */
export function reportExitCode({
  results,
  failures,
  comparisons,
  quantizations,
}: Pick<ReportContent, 'results' | 'failures' | 'comparisons' | 'quantizations'>): ExitCode {
  const codes: ExitCode[] = failures.map(({ error }) => error.exitCode);
  if (results.some((result) => verdictOf(result) === 'failed')) codes.push(1);
  if (comparisons.some(({ isRegression }) => isRegression)) codes.push(1);
  if (acceptancesOf(quantizations).some(({ accepted }) => accepted === false)) codes.push(1);
  return gravity.find((code) => codes.includes(code)) ?? 0;
}
