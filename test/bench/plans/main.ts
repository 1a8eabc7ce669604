/**
 * Compares plans and methods at the same bytes and prints a table in Markdown:
 *
 *     node dist/test/bench/plans/main.js MODEL CALIBRATION VALIDATION [SEEDS] [TOKENS]
 *
 * MODEL as --model takes it, texts as --calibration does; seeds 1 to SEEDS (3) draw the windows that weights are fitted to,
 * and TOKENS (4096) of VALIDATION are predicted: plans that are nearly alike want more.
 */
import { silentProgress } from '../../../codegen/progress.js';
import { openComparedModel, thousandths } from '../compared-model.js';
import { comparePlans, type PlanComparison } from './compare-plans.js';

async function main(args: readonly string[]): Promise<void> {
  const model = await openComparedModel(args, 'main.js MODEL CALIBRATION VALIDATION [SEEDS] [TOKENS]');
  const seeds = Array.from({ length: Number(args[3] ?? 3) }, (_, i) => i + 1);
  const context = { progress: silentProgress, signal: new AbortController().signal };
  console.log(asMarkdown(model.name, await comparePlans(model, seeds, Number(args[4] ?? 4096), context)));
  model.checkpoint.close();
}

function asMarkdown(name: string, { plans, fittedTokens, positions }: PlanComparison): string {
  const bySeed = (klds: readonly number[]) => klds.map(thousandths).join(' / ');
  return [
    `${name}: divergence in thousandths of a nat over ${positions} tokens, weights fitted to ${fittedTokens}`,
    '',
    '| plan | bits a weight | to nearest | GPTQ, by seed | allocated within the same bytes, by seed |',
    '|---|---|---|---|---|',
    ...plans.map(
      (one) =>
        `| ${one.name} | ${one.bitsPerWeight.toFixed(2)} | ${thousandths(one.nearest)} ` +
        `| ${bySeed(one.gptq)} | ${bySeed(one.allocated)} |`,
    ),
  ].join('\n');
}

await main(process.argv.slice(2));
