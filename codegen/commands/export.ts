/** embed-model export: the quantized weights of a bundle for other programs. */
import { EmbedError } from '../diagnostics/error.js';
import { defineCommand } from './command.js';
import { text } from './option.js';
import { fieldList } from './text-table.js';

const options = {
  out: text('DIR', 'folder to write: new or empty'),
  model: text('PATH', 'checkpoint the bundle was built from', 'where the manifest says it was'),
} as const;

export const exportCommand = defineCommand({
  name: 'export',
  summary: 'write the quantized weights as compressed-tensors safetensors',
  description: [
    'Quantizes the checkpoint of the bundle again by its plan, checks that the integers are those of the ' +
      'bundle, and writes them as a Hugging Face folder in the format pack-quantized of compressed-tensors: ' +
      'config.json, quantization_config.json, model.safetensors, and the tokenizer files of the checkpoint. ' +
      'Projections keep their integers, in 4 bits or 8; embedding and head are written as float32.',
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
    const { bits, groupSize } = result.scheme;
    const scales = groupSize === null ? 'a scale a row' : `a scale for ${groupSize} columns`;
    output.result(result, () =>
      fieldList([
        ['folder', result.folder],
        ['weights', `${bits} bits, ${scales}, ${result.tensors} tensors`],
        ['quantized', result.quantizedSha256],
      ]),
    );
    return 0;
  },
});

function requiredFolder(out: string | null): string {
  if (out !== null) return out;
  throw new EmbedError('EM1210', { where: '--out', why: 'which folder to write?', fix: 'add --out DIR' });
}
