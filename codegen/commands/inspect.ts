/** embed-model inspect: what is in a file or folder that embed-model reads or writes. */
import { defineCommand } from './command.js';

export const inspect = defineCommand({
  name: 'inspect',
  summary: 'what is in a checkpoint, bundle, blob, plan or result',
  description: [
    'Finds out by content what lies at PATH and describes it: of a checkpoint architecture, shape, ' +
      'tokenizer and the exact size of its blob under every quantization; of a bundle what it was made ' +
      'from, its memory, its tensors by format, and whether its files are as they were built; of a blob ' +
      'its sections and checks; of a plan its rules; of a result what was measured.',
  ],
  argument: { name: 'PATH', help: 'file or folder', required: true },
  options: {},
  examples: [
    { command: 'embed-model inspect ./SmolLM2-135M', note: 'can it be built, and how large will it be?' },
    { command: 'embed-model inspect ./os-nano-cortex-a72', note: 'a bundle' },
    {
      command: 'embed-model inspect ./os-nano-cortex-a72/model.blob --json',
      note: 'offsets of all sections',
    },
  ],
  cleansUp: false,
  exitCodes: { 2: 'bad input or usage, or a check of the bundle or blob failed' },
  dryRun: async () => null,
  async run({ argument, output }) {
    const { inspectPath } = await import('./inspect/inspect-path.js');
    const { kind, document, text, faults } = inspectPath(argument!);
    output.result({ kind, ...document }, () => text);
    for (const fault of faults) output.say(`DAMAGED: ${fault}`);
    return faults.length === 0 ? 0 : 2;
  },
});
