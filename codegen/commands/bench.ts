/** embed-model bench: how fast a bundle is, and how much memory it takes. */
import type { BenchOptions } from '../../deploy/bench-bundle.js';
import { anyPlaceOptions, atPlace, placeOfDryRun } from './board-options.js';
import { defineCommand } from './command.js';
import { integer, type OptionValues } from './option.js';
import { contextRange, threadsOption } from './run-options.js';

const options = {
  'prompt-tokens': integer(
    'tokens of the prompt: how fast it is read',
    { min: 1, max: contextRange.max },
    null,
    '64, or half of a shorter context',
  ),
  tokens: integer(
    'tokens to generate: how fast they come; those that end a text do not end it here',
    { min: 1, max: contextRange.max },
    null,
    '64, or what a shorter context leaves',
  ),
  repeat: integer('times to measure', { min: 1, max: 10_000 }, 5),
  threads: threadsOption,
  ...anyPlaceOptions,
} as const;

export const bench = defineCommand({
  name: 'bench',
  summary: 'measure speed and memory of a bundle',
  description: [
    'Runs bin/em-run of the bundle, by itself if this machine can, else under the emulator of the target: ' +
      'once with the golden prompt, to know that what is measured is right, once to warm up, then --repeat ' +
      'times. Only the work of the model is timed: neither the start of the program nor its output.',
    'Prefill is the prompt, many tokens at a time; decode is what is generated, one token after another. ' +
      'Rates are medians, p5 that of a slow step, p95 that of a fast one; decode steps of all repeats are ' +
      'taken together. More tokens mean a longer context to attend to, and so a lower rate.',
    'Peak memory (the resident set) should be blob + arena + 1.5 MiB at most. Emulated speed says nothing ' +
      'about a board, and emulated memory is that of the emulator: it is left out.',
  ],
  argument: { name: 'BUNDLE', help: 'folder that embed-model build made', required: true },
  options,
  examples: [
    { command: 'embed-model bench ./os-nano-x86_64-avx2', note: 'all processors, 64 tokens in, 64 out' },
    {
      command: 'embed-model bench ./os-nano-x86_64-avx2 --threads 1 --tokens 256 --repeat 10',
      note: 'one thread, a longer context',
    },
    {
      command: 'embed-model bench ./os-nano-riscv-u74 --prompt-tokens 8 --tokens 8 --repeat 1 --json',
      note: 'under qemu-riscv64 on a PC; the record says "emulated": true',
    },
  ],
  cleansUp: true,
  exitCodes: { 1: 'the logits differ from the golden ones, or peak memory is above its limit' },
  async dryRun({ argument, values }) {
    const { planBench } = await import('../../deploy/planned-runs.js');
    return planBench(argument!, { ...benchOptions(values), mode: placeOfDryRun(values) });
  },
  async run({ argument, values, output, context }) {
    const { benchBundle } = await import('../../deploy/bench-bundle.js');
    const { benchSummary } = await import('./bench-summary.js');
    const asked = benchOptions(values);
    const result = await atPlace(argument!, values, context, (mode) =>
      benchBundle(argument!, { ...asked, mode }, context),
    );
    output.result(result, () => benchSummary(result));
    const isAsPromised = result.output.matchesGolden !== false && result.bench.peakRssWithinLimit !== false;
    return isAsPromised ? 0 : 1;
  },
});

function benchOptions(values: OptionValues<typeof options>): Omit<BenchOptions, 'mode'> {
  const { 'prompt-tokens': promptTokens, tokens, repeat, threads } = values;
  return { promptTokens, tokens, repeat, threads };
}
