/**
 * Compares plans and methods at the same bytes and prints a table in Markdown:
 *
 *     node dist/test/bench/plans/main.js MODEL CALIBRATION VALIDATION [SEEDS]
 *
 * MODEL as --model takes it, texts as --calibration does; seeds 1 to SEEDS (3) draw the windows that weights are fitted to.
 */

import { openModelSource } from '../../../codegen/checkpoint/model-source.js';
import { readIds, readText } from '../../../codegen/evaluate/evaluation-text.js';
import { buildGraph } from '../../../codegen/graph/build.js';
import { contextLength } from '../../../codegen/graph/context-length.js';
import { silentProgress } from '../../../codegen/progress.js';
import { comparePlans, type PlanComparison } from './compare-plans.js';

async function main([model, calibration, validation, seeds = '3']: readonly string[]): Promise<void> {
  if (model === undefined || calibration === undefined || validation === undefined) {
    throw new RangeError('usage: main.js MODEL CALIBRATION VALIDATION [SEEDS]');
  }
  const ids = [calibration, validation].every((path) => path.endsWith('.u16'));
  const source = openModelSource(model, !ids);
  const { checkpoint, tokenizer } = source;
  const graph = buildGraph(checkpoint, contextLength(checkpoint.config, null, silentProgress), true);
  const read = (path: string) =>
    tokenizer === null || path.endsWith('.u16')
      ? readIds(path, graph.vocabSize).ids
      : readText(path, tokenizer, checkpoint.config.eosIds).ids;
  const compared = { graph, checkpoint, calibration: read(calibration), validation: read(validation) };
  const drawn = Array.from({ length: Number(seeds) }, (_, i) => i + 1);
  const context = { progress: silentProgress, signal: new AbortController().signal };
  console.log(asMarkdown(source.name, await comparePlans(compared, drawn, context)));
  checkpoint.close();
}

function asMarkdown(name: string, { plans, fittedTokens, positions }: PlanComparison): string {
  const thousandths = (values: readonly number[]) => values.map((kld) => (1000 * kld).toFixed(2)).join(' / ');
  return [
    `${name}: divergence in thousandths of a nat over ${positions} tokens, weights fitted to ${fittedTokens}`,
    '',
    '| plan | bits a weight | to nearest | GPTQ, by seed | allocated within the same bytes, by seed |',
    '|---|---|---|---|---|',
    ...plans.map(
      (one) =>
        `| ${one.name} | ${one.bitsPerWeight.toFixed(2)} | ${thousandths([one.nearest])} ` +
        `| ${thousandths(one.gptq)} | ${thousandths(one.allocated)} |`,
    ),
  ].join('\n');
}

await main(process.argv.slice(2));
