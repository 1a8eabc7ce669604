/** embed-model eval: what quantization costs a model on a text. */
import { EmbedError } from '../diagnostics/error.js';
import type { EvaluateOptions } from '../evaluate/evaluate-bundle.js';
import { defineCommand } from './command.js';
import { flag, integer, type OptionValues, text } from './option.js';
import { contextRange, exclusive } from './run-options.js';
import { validationSummary } from './validation-summary.js';

/** Most that perplexity may grow: 2 %. */
const threshold = 0.02;

const options = {
  text: text('FILE', 'text to evaluate on; <|endoftext|> on a line of its own separates documents'),
  ids: text('FILE.u16', 'token ids to evaluate on: raw little-endian uint16'),
  model: text(
    'PATH',
    'checkpoint to compare with; it must be the one the bundle was built from',
    'where the manifest says it was',
  ),
  window: integer(
    'tokens in a window; windows do not overlap',
    { min: 2, max: contextRange.max },
    null,
    'the context',
  ),
  limit: integer('most tokens to take of the text', { min: 2, max: 2 ** 31 }, null, 'all'),
  'integer-cost': flag(
    'measure also what the integers alone cost: against the same quantized weights in float',
  ),
} as const;

export const evaluate = defineCommand({
  name: 'eval',
  summary: 'measure on a text what quantization costs, and judge it',
  description: [
    'Builds the model of the bundle again for this machine, from its checkpoint and its plan, and lets ' +
      'it and the checkpoint in floating point predict the same text. Perplexity grows by a few tenths ' +
      'of a percent in good quantizations. The bundle is accepted if its growth is below 2 % with 95 % ' +
      'confidence (block bootstrap over windows); fewer than 32 windows are not judged.',
    'Positions 1 to N-1 of each window are scored; no beginning-of-text token is added. The report ' +
      'also goes to report/validation_report.json of the bundle.',
  ],
  argument: { name: 'BUNDLE', help: 'folder that embed-model build made', required: true },
  options,
  examples: [
    {
      command: 'embed-model eval ./os-nano-cortex-a72 --text manual.txt --limit 50000',
      note: 'about 50,000 tokens of a text that the model has not seen',
    },
    {
      command: 'embed-model eval ./my-model-riscv-u74 --ids validation.u16 --model ./my-model --json',
      note: 'a text that is already encoded; the report goes to stdout',
    },
  ],
  cleansUp: true,
  exitCodes: { 1: 'not accepted: perplexity may have grown by 2 % or more' },
  async dryRun({ argument, values, context }) {
    const asked = evaluateOptions(values);
    const { planEvaluation } = await import('../evaluate/plan-evaluation.js');
    return planEvaluation(argument!, asked, context);
  },
  async run({ argument, values, output, context }) {
    const asked = evaluateOptions(values);
    const { evaluateBundle } = await import('../evaluate/evaluate-bundle.js');
    const report = await evaluateBundle(argument!, asked, context);
    output.result(report, () => validationSummary(report));
    return report.accepted === false ? 1 : 0;
  },
});

function evaluateOptions(values: OptionValues<typeof options>): EvaluateOptions {
  if (values.text !== null && values.ids !== null) throw exclusive('--text', '--ids');
  if (values.text === null && values.ids === null) {
    throw new EmbedError('EM1210', {
      where: 'embed-model eval',
      why: 'there is nothing to evaluate on',
      fix: 'give --text FILE or --ids FILE.u16',
    });
  }
  const { 'integer-cost': integerCost, ...given } = values;
  return { ...given, integerCost, threshold };
}
