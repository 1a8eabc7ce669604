/** embed-model eval: what quantization costs a model on a text. */
import type { AcceptOptions } from '../accept/accept-bundle.js';
import { CONTINUATION_TOKENS } from '../build-options.js';
import { EmbedError } from '../diagnostics/error.js';
import type { EvaluateOptions } from '../evaluate/evaluate-bundle.js';
import { acceptanceSummary } from './acceptance-summary.js';
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
  acceptance: flag(
    'judge every gate: loss, speed and size against 16-bit weights, repetition, and the task if there is one',
  ),
  prompts: text(
    'FILE',
    'prompts of the acceptance, one a line; --acceptance goes without saying',
    'beginnings of 32 windows of the text',
  ),
  task: text(
    'FILE.jsonl',
    'task benchmark, a line {"prompt": "...", "completion": "..."} an item; --acceptance goes without saying',
  ),
  tokens: integer(
    'most tokens of a continuation in the acceptance',
    { min: 1, max: contextRange.max },
    CONTINUATION_TOKENS,
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
    'With --acceptance the bundle must also decode 1.5 times as fast as the same model with 16-bit weights ' +
      '(eleven pairs of runs on one thread; judged only where the bundle is for this machine, and where the ' +
      'interval of their median is on one side of the limit), be smaller than that by what its bits promise ' +
      'less a tenth, and repeat no more 4-grams in greedy continuations than the checkpoint in float (where those behind ' +
      '32 prompts would fail it, those behind 96 more are looked at, too); of a ' +
      'task benchmark of at least 50 items it may solve less than 2 points fewer. A gate that is not judged ' +
      'says why, and does not fail. Verdicts and figures go to report/acceptance.json, both continuations ' +
      'of every prompt side by side to report/compare_outputs.json and .txt.',
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
    {
      command: 'embed-model eval ./os-nano-x86_64-avx2 --text manual.txt --acceptance --task facts.jsonl',
      note: 'every gate, with a benchmark of facts that the model must still know',
    },
  ],
  cleansUp: true,
  exitCodes: { 1: 'not accepted: perplexity may have grown by 2 % or more, or another gate failed' },
  async dryRun({ argument, values, context }) {
    const asked = evaluateOptions(values);
    if (asksForAcceptance(values)) {
      const { planAcceptance } = await import('../accept/plan-acceptance.js');
      return planAcceptance(argument!, acceptOptions(values), context);
    }
    const { planEvaluation } = await import('../evaluate/plan-evaluation.js');
    return planEvaluation(argument!, asked, context);
  },
  async run({ argument, values, output, context }) {
    const asked = evaluateOptions(values);
    if (asksForAcceptance(values)) {
      const { acceptBundle } = await import('../accept/accept-bundle.js');
      const accepted = await acceptBundle(argument!, acceptOptions(values), context);
      const { report, acceptance } = accepted;
      output.result(
        { report, acceptance },
        () => `${validationSummary(report)}\n\n${acceptanceSummary(acceptance)}`,
      );
      return acceptance.accepted === false ? 1 : 0;
    }
    const { evaluateBundle } = await import('../evaluate/evaluate-bundle.js');
    const report = await evaluateBundle(argument!, asked, context);
    output.result(report, () => validationSummary(report));
    return report.accepted === false ? 1 : 0;
  },
});

type Values = OptionValues<typeof options>;

const asksForAcceptance = ({ acceptance, prompts, task }: Values) =>
  acceptance || prompts !== null || task !== null;

const acceptOptions = (values: Values): AcceptOptions => {
  const { prompts, task, tokens } = values;
  return { ...evaluateOptions(values), prompts, task, tokens };
};

function evaluateOptions({ text, ids, model, window, limit, ...rest }: Values): EvaluateOptions {
  if (text !== null && ids !== null) throw exclusive('--text', '--ids');
  if (text === null && ids === null) {
    throw new EmbedError('EM1210', {
      where: 'embed-model eval',
      why: 'there is nothing to evaluate on',
      fix: 'give --text FILE or --ids FILE.u16',
    });
  }
  return { text, ids, model, window, limit, integerCost: rest['integer-cost'], threshold };
}
