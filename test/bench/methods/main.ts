/**
 * Compares methods at 4 bits, and symmetric with asymmetric groups in float, and prints tables in Markdown:
 *
 *     node dist/test/bench/methods/main.js MODEL CALIBRATION VALIDATION [TOKENS]
 *
 * MODEL as --model takes it, texts as --calibration does; TOKENS (4096) of VALIDATION are predicted.
 */
import { silentProgress } from '../../../codegen/progress.js';
import { methodNames, methods } from '../../../codegen/quantize/quantize-model.js';
import { openComparedModel, thousandths } from '../compared-model.js';
import { compareMethods, type MethodFigures } from './compare-methods.js';

async function main(args: readonly string[]): Promise<void> {
  const model = await openComparedModel(args, 'main.js MODEL CALIBRATION VALIDATION [TOKENS]');
  const context = { progress: silentProgress, signal: new AbortController().signal };
  const figures = await compareMethods({ ...model, judgedTokens: Number(args[3] ?? 4096) }, context);
  console.log(asMarkdown(model.name, figures));
  model.checkpoint.close();
}

function asMarkdown(name: string, figures: MethodFigures): string {
  const { methods: found, simulated, places, fittedTokens, positions } = figures;
  return [
    `${name}: divergence in thousandths of a nat over ${positions} tokens; int4, fitted to ${fittedTokens} tokens, ` +
      `channels scaled in ${places} places`,
    '',
    `| ${methods.map((method) => methodNames[method]).join(' | ')} |`,
    `|${'---|'.repeat(methods.length)}`,
    `| ${methods.map((method) => thousandths(found[method])).join(' | ')} |`,
    '',
    '| groups in float | bits | divergence |',
    '|---|---|---|',
    ...simulated.map(
      ({ bits, asymmetric, kld }) =>
        `| ${asymmetric ? 'asymmetric' : 'symmetric'} | ${bits} | ${thousandths(kld)} |`,
    ),
  ].join('\n');
}

await main(process.argv.slice(2));
