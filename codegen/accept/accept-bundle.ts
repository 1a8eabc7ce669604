/** eval --acceptance: a bundle's loss on a text, and all other gates. */
import { writeReportFiles } from '../bundle/report-files.js';
import { type EvaluateOptions, type Evaluation, evaluateWith } from '../evaluate/evaluate-bundle.js';
import type { ValidationReport } from '../evaluate/validation-report.js';
import type { StageContext } from '../progress.js';
import { takePrompts } from './acceptance-prompts.js';
import { type AcceptanceFiles, readAcceptanceFiles } from './acceptance-request.js';
import { type AcceptanceResult, acceptanceRecords, judgeModel } from './judge-model.js';
import type { OutputComparison } from './output-comparison.js';

/** Prompts that were not given are beginnings of windows of the evaluation text. */
export interface AcceptOptions extends EvaluateOptions, AcceptanceFiles {
  /** Most tokens of a continuation. */
  readonly tokens: number;
}

export interface AcceptedBundle extends AcceptanceResult {
  readonly report: ValidationReport;
  readonly comparison: OutputComparison;
}

/**
 * Evaluates a bundle, judges it gate by gate, and writes the records into <bundle>/report. Throws EM2020 for prompts and EM2021 for
 * a task that cannot be used, before anything is evaluated, and what evaluateBundle throws.
 */
export async function acceptBundle(
  bundle: string,
  options: AcceptOptions,
  context: StageContext,
): Promise<AcceptedBundle> {
  const { tokens, threshold } = options;
  const judge: Evaluation<AcceptanceResult> = ({ tokenizer }, manifest) => {
    const { prompts, task } = readAcceptanceFiles(options, tokenizer, manifest.context);
    return (session) => {
      const { windows, report } = session;
      const judged = {
        ...{ ...session, tokens, task, threshold },
        sizeAgainst16Bit: report.sizeAgainst16Bit,
        ...(prompts === null ? takePrompts(windows, tokenizer) : { prompts, further: [] }),
      };
      return judgeModel(judged, context);
    };
  };
  const result = await evaluateWith(bundle, options, context, judge);
  for (const line of result.acceptance.advice) context.progress.warn(line);
  writeReportFiles(bundle, acceptanceRecords(result));
  const { report, comparison } = result;
  return { ...result, report: report!, comparison: comparison! }; // an evaluation has run the model
}
