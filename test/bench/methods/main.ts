/**
 * Compares methods at 4 bits, and symmetric with asymmetric groups in float, and prints tables in Markdown:
 *
 *     node dist/test/bench/methods/main.js MODEL CALIBRATION VALIDATION [TOKENS]
 *
 * MODEL as --model takes it, texts as --calibration does; TOKENS (4096) of VALIDATION are predicted.
 */
import { readCalibration } from '../../../codegen/calibrate/calibration-text.js';
import { openModelSource } from '../../../codegen/checkpoint/model-source.js';
import { buildGraph } from '../../../codegen/graph/build.js';
import { contextLength } from '../../../codegen/graph/context-length.js';
import { silentProgress } from '../../../codegen/progress.js';
import { methodNames, methods } from '../../../codegen/quantize/quantize-model.js';
import { compareMethods, type MethodFigures } from './compare-methods.js';

async function main([model, calibration, validation, tokens = '4096']: readonly string[]): Promise<void> {
  if (model === undefined || calibration === undefined || validation === undefined) {
    throw new RangeError('usage: main.js MODEL CALIBRATION VALIDATION [TOKENS]');
  }
  const ids = [calibration, validation].every((path) => path.endsWith('.u16'));
  const source = openModelSource(model, !ids);
  const { checkpoint, tokenizer } = source;
  const graph = buildGraph(checkpoint, contextLength(checkpoint.config, null, silentProgress), true);
  const read = (path: string) => Int32Array.from(readCalibration(path, tokenizer, graph.vocabSize).ids);
  const texts = { calibration: read(calibration), validation: read(validation) };
  const compared = { graph, checkpoint, ...texts, judgedTokens: Number(tokens) };
  const context = { progress: silentProgress, signal: new AbortController().signal };
  console.log(asMarkdown(source.name, await compareMethods(compared, context)));
  checkpoint.close();
}

function asMarkdown(name: string, figures: MethodFigures): string {
  const { methods: found, simulated, places, fittedTokens, positions } = figures;
  const thousandths = (kld: number) => (1000 * kld).toFixed(2);
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
