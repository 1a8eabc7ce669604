/** embed-model run: the program of a bundle, on this machine or under the emulator of its target. */
import type { RunOptions } from '../build-options.js';
import { anyPlaceOptions, atPlace, placeOfDryRun } from './board-options.js';
import { defineCommand } from './command.js';
import { flag, integer, type OptionValues, prompt, q16, tokenIds, unsigned64 } from './option.js';
import { quietProgress } from './progress.js';
import { runSummary } from './result-summary.js';
import { exclusive, threadsOption, tokensOption } from './run-options.js';

const Q16_ONE = 65536;

const options = {
  prompt: prompt('text to go on from'),
  ids: tokenIds('token ids to go on from, instead of a text'),
  tokens: tokensOption,
  temperature: q16('T', '0 is greedy: always the most likely token', { leastQ16: 0, high: 1000 }, 0, '0'),
  'top-k': integer('sample from the K most likely tokens; 0: no limit', { min: 0, max: 2 ** 20 }, 0),
  'top-p': q16(
    'P',
    'sample from the most likely tokens that have this probability together',
    { leastQ16: 1, high: 1 },
    Q16_ONE,
    '1',
  ),
  seed: unsigned64('of the random numbers: the same seed, the same text', '0'),
  threads: threadsOption,
  slide: flag('go on beyond the context: for every token the last positions are computed again from 0'),
  chunk: integer('tokens of the prompt taken at a time', { min: 1, max: 2 ** 20 }, null, 'all'),
  ...anyPlaceOptions,
} as const;

export const run = defineCommand({
  name: 'run',
  summary: 'run the program of a bundle',
  description: [
    'Starts bin/em-run of the bundle, by itself if this machine can, else under the emulator of the ' +
      'target, and prints the text as it is generated, to stdout; what it came to follows on stderr. ' +
      'With --json nothing is streamed: the document has the text, the ids, the logits digest, speed and ' +
      'memory. Emulated speed says nothing about a board.',
    'Sampling (--temperature above 0) is integer arithmetic: temperature, then top-k, then top-p, ' +
      'PCG32 from --seed. The same command gives the same text on every board. A prompt and tokens that ' +
      'do not fit the context are an error without --slide, which is how models with learned positions (GPT-2, crystals) ' +
      'write longer texts.',
  ],
  argument: { name: 'BUNDLE', help: 'folder that embed-model build made', required: true },
  options,
  examples: [
    {
      command: 'embed-model run ./os-nano-x86_64-avx2 --prompt "The kernel"',
      note: 'greedy, 64 tokens',
    },
    {
      command: 'embed-model run ./os-nano-cortex-a72 --prompt "NAME" --temperature 0.8 --top-k 40 --seed 7',
      note: 'sampled; on a PC under qemu-aarch64',
    },
    {
      command: 'embed-model run ./stories260K-riscv-u74 --ids 1,403,407 --threads 2 --json',
      note: 'token ids in, the result record out',
    },
  ],
  cleansUp: true,
  exitCodes: { 1: 'the logits differ from the golden ones that the bundle keeps for this prompt' },
  async dryRun({ argument, values }) {
    const { planRun } = await import('../../deploy/planned-runs.js');
    return planRun(argument!, { ...runOptions(values), mode: placeOfDryRun(values) });
  },
  async run({ argument, values, output, context }) {
    const asked = runOptions(values);
    const { runBundle } = await import('../../deploy/run-bundle.js');
    // Text and a bar would overwrite each other.
    const warn = (message: string) => context.progress.warn(message);
    const progress = output.sharesTerminal ? { ...quietProgress, warn } : context.progress;
    const result = await atPlace(argument!, values, context, (mode) =>
      runBundle(
        argument!,
        { ...asked, mode, onText: (piece) => output.stream(piece) },
        { ...context, progress },
      ),
    );
    output.endStream(result);
    output.say(output.sharesTerminal ? `\n${runSummary(result)}` : runSummary(result));
    return result.output.matchesGolden === false ? 1 : 0;
  },
});

function runOptions(values: OptionValues<typeof options>): Omit<RunOptions, 'mode'> {
  if (values.prompt !== null && values.ids !== null) throw exclusive('--prompt', '--ids');
  return {
    prompt: values.prompt,
    ids: values.ids,
    tokens: values.tokens,
    sampling: {
      temperatureQ16: values.temperature,
      topK: values['top-k'],
      topPQ16: values['top-p'],
      seed: values.seed,
    },
    threads: values.threads,
    chunk: values.chunk,
    slide: values.slide,
  };
}
