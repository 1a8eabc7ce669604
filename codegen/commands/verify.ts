/** embed-model verify: does a bundle compute what the reference computes? */
import { anyPlaceOptions, atPlace, placeOfDryRun } from './board-options.js';
import { defineCommand } from './command.js';
import { flag, text } from './option.js';
import { threadsOption } from './run-options.js';
import { verifySummary } from './verify-summary.js';

const options = {
  layers: flag('compare also op by op: floating point, integer reference and program'),
  model: text(
    'PATH',
    'checkpoint for --layers, the one the bundle was built from',
    'where the manifest says it was',
  ),
  threads: threadsOption,
  ...anyPlaceOptions,
} as const;

export const verify = defineCommand({
  name: 'verify',
  summary: 'check that a bundle computes what the reference computes, bit for bit',
  description: [
    'Runs the golden prompts of the bundle, by itself if this machine can, else under the emulator of ' +
      'the target, and compares tokens and the digest over all logits with those of the integer ' +
      'reference, which the manifest keeps. Then it gives all tokens again as a prompt, one at a time, ' +
      'in chunks of 7, and at once: the digest must stay the same. Equal digests mean that every logit ' +
      'of every position is equal. The files of the bundle must have the hashes of the manifest.',
    'With --layers, the activations of the first golden prompt are compared op by op: the checkpoint ' +
      'in floating point, the integer reference, and the program. That shows where quantization loses ' +
      'most and, if logits differ, where they begin to.',
  ],
  argument: { name: 'BUNDLE', help: 'folder that embed-model build made', required: true },
  options,
  examples: [
    { command: 'embed-model verify ./os-nano-cortex-a72', note: 'under qemu-aarch64 on a PC' },
    { command: 'embed-model verify ./os-nano-x86_64-avx2 --layers --threads 2', note: 'op by op' },
  ],
  cleansUp: true,
  exitCodes: { 1: 'the bundle computes something else than the reference' },
  async dryRun({ argument, values }) {
    const { planVerify } = await import('../../deploy/planned-runs.js');
    return planVerify(argument!, { ...values, mode: placeOfDryRun(values) });
  },
  async run({ argument, values, output, context }) {
    const { verifyBundle } = await import('../../deploy/verify-bundle.js');
    const report = await atPlace(argument!, values, context, (mode) =>
      verifyBundle(argument!, { ...values, mode }, context),
    );
    output.result(report, () => verifySummary(report));
    return report.matches ? 0 : 1;
  },
});
