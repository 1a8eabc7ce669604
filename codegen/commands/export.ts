/** embed-model export: the quantized weights of a bundle for other programs. */
import { EmbedError } from '../diagnostics/error.js';
import type { TurnedProjections } from '../export/compressed-tensors.js';
import { defineCommand } from './command.js';
import { text } from './option.js';
import { formatAmount, formatBytes } from './quantities.js';
import { fieldList } from './text-table.js';

const options = {
  out: text('DIR', 'folder to write: new or empty'),
  model: text('PATH', 'checkpoint the bundle was built from', 'where the manifest says it was'),
} as const;

export const exportCommand = defineCommand({
  name: 'export',
  summary: 'write the quantized weights as compressed-tensors safetensors',
  description: [
    'Reads the integers of the bundle from its blob, checks them against its manifest and its checkpoint, ' +
      'and writes them as a Hugging Face folder in the format pack-quantized of compressed-tensors: ' +
      'config.json, quantization_config.json, model.safetensors, and the tokenizer files of the checkpoint. ' +
      'Projections keep their integers, in 4 bits or 8; embedding and head are written as float32. ' +
      'So are down projections whose inputs the model turns by a Hadamard transform, which other programs do ' +
      'not do: turned back, their values are kept, to rounding, and their integers are not. The command says ' +
      'how many these are and what they take; bundles of a PLAN.json with "rotate": false have none.',
    'embed-model reads the folder back, with the same integers. For models of the llama family.',
  ],
  argument: { name: 'BUNDLE', help: 'folder that embed-model build made', required: true },
  options,
  examples: [
    { command: 'embed-model export ./os-nano-cortex-a72 --out ./os-nano-int4', note: 'a folder for --model' },
  ],
  cleansUp: true,
  exitCodes: {},
  async dryRun({ argument, values: { out, model } }) {
    const { plannedExport } = await import('../export/export-bundle.js');
    const paths = plannedExport(argument!, { out: requiredFolder(out), model });
    return { files: paths.map((path) => ({ path, bytes: null })), commands: [], notes: [] };
  },
  async run({ argument, values: { out, model }, output, context }) {
    const { exportBundle } = await import('../export/export-bundle.js');
    const result = await exportBundle(argument!, { out: requiredFolder(out), model }, context);
    const { scheme, turned } = result;
    const { bits, groupSize } = scheme;
    const scales = groupSize === null ? 'a scale a row' : `a scale for ${groupSize} columns`;
    output.result(result, () =>
      fieldList([
        ['folder', result.folder],
        ['weights', `${bits} bits, ${scales}, ${result.tensors} tensors`],
        turned.matrices === 0 ? null : ['float32', turnedText(turned)],
        ['quantized', result.quantizedSha256],
      ]),
    );
    return 0;
  },
});

function turnedText({ matrices, bytes, packedBytes }: TurnedProjections): string {
  const count = formatAmount(matrices, 'projection');
  return (
    `${count} whose inputs the model turns: ${formatBytes(bytes)}, packed ${formatBytes(packedBytes)}\n` +
    'to pack them too, build with a PLAN.json that has "rotate": false'
  );
}

function requiredFolder(out: string | null): string {
  if (out !== null) return out;
  throw new EmbedError('EM1210', { where: '--out', why: 'which folder to write?', fix: 'add --out DIR' });
}
