/** eval --acceptance: a bundle's loss on a text, and all other gates. */
import { writeReportFiles } from '../bundle/report-files.js';
import { type EvaluateOptions, evaluateWith } from '../evaluate/evaluate-bundle.js';
import type { ValidationReport } from '../evaluate/validation-report.js';
import type { StageContext } from '../progress.js';
import { readPrompts, takePrompts } from './acceptance-prompts.js';
import { type AcceptanceResult, acceptanceRecords, judgeModel } from './judge-model.js';
import type { OutputComparison } from './output-comparison.js';
import { readTask } from './task-benchmark.js';

export interface AcceptOptions extends EvaluateOptions {
  /** Path of a file with a prompt a line; null: beginnings of windows of the evaluation text. */
  readonly prompts: string | null;
  /** Path of a task benchmark; null: there is none. */
  readonly task: string | null;
  /** Most tokens of a continuation. */
  readonly tokens: number;
}

export interface AcceptedBundle extends AcceptanceResult {
  readonly report: ValidationReport;
  readonly comparison: OutputComparison;
}

/**
 * Evaluates a bundle, judges it gate by gate, and writes the records into <bundle>/report. Throws EM2020 for prompts and EM2021 for
 * a task that cannot be used, and what evaluateBundle throws.
 */
export async function acceptBundle(
  bundle: string,
  { prompts, task, tokens, ...options }: AcceptOptions,
  context: StageContext,
): Promise<AcceptedBundle> {
  const { threshold } = options;
  const result = await evaluateWith(bundle, options, context, (session) => {
    const { source, reference, windows, report } = session;
    const { tokenizer } = source;
    const positions = reference.graph.context;
    const judged = {
      ...session,
      ...{ tokens, threshold, sizeAgainst16Bit: report.sizeAgainst16Bit },
      ...(prompts === null
        ? takePrompts(windows, tokenizer)
        : { prompts: readPrompts(prompts, tokenizer, positions), further: [] }),
      task: task === null ? null : readTask(task, tokenizer, positions),
    };
    return judgeModel(judged, context);
  });
  for (const line of result.acceptance.advice) context.progress.warn(line);
  writeReportFiles(bundle, acceptanceRecords(result));
  const { report, comparison } = result;
  return { ...result, report: report!, comparison: comparison! }; // an evaluation has run the model
}
